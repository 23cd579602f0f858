"""Checks: conditions that the claim of an experiment implies, and their verdicts.

A check computes one value per seed and compares the 95% confidence interval of their mean (or median, ...) with a bound
that was fixed beforehand. The verdict is `holds` if the whole interval satisfies the bound, `fails` if the whole
interval violates it, and `inconclusive` otherwise.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from envzoo.errors import EnvzooError, UnknownNameError, unknown
from envzoo.scripts.experiments.core.intervals import (
    CONFIDENCE,
    ESTIMANDS,
    NO_SPREAD_SEEDS,
    ROUNDING,
    Estimand,
    interval,
    seeds_needed,
)
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.verdicts import FAILS, HOLDS, INCONCLUSIVE, NOT_JUDGED, NOT_RUN, Verdict, combine

Kind = Literal["exact", "seeded", "all_of", "equivalence", "point"]
KINDS = ("exact", "seeded", "all_of", "equivalence", "point")
OPERATORS = (">=", ">", "<=", "<")
Measure = Callable[[Results], Any]
# The input of a check if the claim were false: the runs of some arms replaced by those of others, or a value (for an
# exact check, the identity with an error put into it).
Null = Mapping[str, str] | Callable[[Results], Any]


@dataclass(frozen=True)
class Check:
    """One condition of a claim. Create it with `exact`, `seeded`, `equivalence` or `all_of`.

    (`point` creates a check in the form of the first release: a number from aggregates, shown without a verdict.)

    Attributes:
        sentence: The condition in words.
        kind: "exact" (one number, no interval), "seeded" (one value per seed), "equivalence" (the interval must lie
            between two bounds) or "all_of" (every component must hold).
        measure: Computes the value (exact) or the values per seed, (n,), from the results.
        operator: Comparison of the value with the threshold; "in" for an equivalence, "all" for components.
        threshold: The bound; for an equivalence the pair (low, high).
        estimand: The estimated parameter; see `envzoo.scripts.experiments.core.intervals`.
        paper_claim: The paper's own claim, if it has a comparable one, and why our bound differs.
        null: The input of the check if the claim is false, to show that the check can fail.
        primary: Whether the check decides the verdict of the experiment.
        full_only: Whether the check is left out of quick runs.
        trials: For the estimand "share", the number of trials behind each value.
        components: For "all_of", the checks that must all hold.
    """

    sentence: str
    kind: Kind
    measure: Measure | None = None
    operator: str = ">="
    threshold: float | tuple[float, float] | None = None
    estimand: Estimand = "mean"
    paper_claim: str = ""
    null: Null | None = None
    primary: bool = False
    full_only: bool = False
    trials: int | None = None
    components: tuple[Check, ...] = ()

    def __post_init__(self):
        if self.kind not in KINDS:
            raise unknown("kind of check", self.kind, KINDS)
        if self.estimand not in ESTIMANDS:
            raise unknown("estimand", self.estimand, ESTIMANDS)
        if self.kind == "all_of":
            if not self.components:
                raise EnvzooError(f"the check {self.sentence!r} has no components")
            return
        if self.measure is None:
            raise EnvzooError(f"the check {self.sentence!r} measures nothing")
        if self.kind == "equivalence":
            low, high = self.threshold
            if not low < high:
                raise EnvzooError(f"the bounds of an equivalence are low < high, got {self.threshold}")
            return
        if self.operator not in OPERATORS:
            raise unknown("operator of a check", self.operator, OPERATORS)
        no_difference = 1 if self.estimand == "ratio" else 0
        if self.kind == "seeded" and self.operator in (">=", "<=") and self.threshold == no_difference:
            raise EnvzooError(
                f"the check {self.sentence!r} would hold for no difference at all: ask for superiority with "
                f"{self.operator[0]!r}, or for non-inferiority with a positive margin"
            )

    # ------------------------------------------------------------------ judging

    def judge(self, results: Results, *, confidence: float = CONFIDENCE, judged: bool = True) -> dict[str, Any]:
        """Compute the entry of results.json.

        Args:
            results: Results of the experiment.
            confidence: Confidence level of the intervals; higher if the results are judged several times. Where
                `results.data` names the groups "looked_at", checks that read none of them keep 95%.
            judged: False for quick runs: values without a verdict.
        """
        try:
            entry = self._entry(results, confidence)
        except UnknownNameError:
            if not results.left_out:
                raise
            # An arm of this check belongs to a stage that has not run yet.
            return self._blank() | {"verdict": NOT_RUN if judged else NOT_JUDGED}
        if not judged:
            entry["verdict"] = NOT_JUDGED
            for component in entry.get("components", ()):
                component["verdict"] = NOT_JUDGED
        return entry

    def _blank(self) -> dict[str, Any]:
        """Return the entry without a value."""
        return {
            "sentence": self.sentence,
            "kind": self.kind,
            "primary": self.primary,
            "paper_claim": self.paper_claim,
            "estimand": "identity" if self.kind == "exact" else self.estimand,
            "value": None,
            "interval": None,
            "method": None,
            "confidence": None,
            "n": None,
            "operator": {"equivalence": "in", "all_of": "all"}.get(self.kind, self.operator),
            "threshold": list(self.threshold) if isinstance(self.threshold, tuple) else self.threshold,
            "verdict": INCONCLUSIVE,
            "seeds_needed": None,
        }

    def _entry(self, results: Results, confidence: float) -> dict[str, Any]:
        entry = self._blank()
        if self.kind == "all_of":
            parts = [component._entry(results, confidence) for component in self.components]
            needed = [part["seeds_needed"] for part in parts if part["kind"] != "exact"]
            return entry | {
                "estimand": "all",
                "components": parts,
                "verdict": combine([part["verdict"] for part in parts]),
                "seeds_needed": None if None in needed or not needed else max(needed),
            }
        if self.kind == "point":
            return entry | {"value": float(self.measure(results)), "verdict": NOT_JUDGED}
        if self.kind == "exact":
            value = float(self.measure(results))
            kept = math.isfinite(value) and compare(value, self.operator, self.threshold)
            return entry | {"value": value, "verdict": HOLDS if kept else FAILS}
        values, groups = results.measure(self.measure)
        values = np.atleast_1d(np.asarray(values, float))
        if "looked_at" in results.data and groups.isdisjoint(results.data["looked_at"]):
            confidence = CONFIDENCE  # these runs stay as they are, however often the others are looked at
        try:
            found = interval(values, self.estimand, confidence=confidence, trials=self.trials)
        except EnvzooError as error:  # one invalid value must not discard hours of runs
            return entry | {"n": int(values.size), "method": f"not computed: {error}"}
        return entry | {
            "value": found.value,
            "interval": [found.low, found.high],
            "method": found.method,
            "confidence": confidence,
            "n": int(values.size),
            "verdict": self._verdict(values, found.low, found.high),
            "seeds_needed": seeds_needed(values, self.bounds, self.estimand, confidence=confidence, trials=self.trials),
        }

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the lower and upper bound of the claim, infinite where there is none."""
        if self.kind == "equivalence":
            return self.threshold
        return (self.threshold, math.inf) if self.operator in (">=", ">") else (-math.inf, self.threshold)

    def _verdict(self, values: np.ndarray, low: float, high: float) -> Verdict:
        lower, upper = self.bounds
        if values.size > 1 and np.ptp(values) <= ROUNDING * np.abs(values).max() and self.estimand != "proportion":
            # Equal values have no variance; a sign test needs six of them, strictly beyond the bound.
            value = float(values[0])
            if values.size < NO_SPREAD_SEEDS or value in (lower, upper):
                return INCONCLUSIVE
            return HOLDS if lower < value < upper else FAILS
        strict = self.operator in (">", "<") and self.kind != "equivalence"
        if (low > lower or (low == lower and not strict)) and (high < upper or (high == upper and not strict)):
            return HOLDS
        return FAILS if high < lower or low > upper else INCONCLUSIVE

    def under_null(self, results: Results) -> dict[str, Any]:
        """Compute the entry under the null; a check that still holds is not a test.

        Raises:
            EnvzooError: The check has no null.
            UnknownNameError: An arm of the check has not run.
        """
        if self.kind == "all_of":
            parts = [component.under_null(results) for component in self.components]
            return {"verdict": combine([part["verdict"] for part in parts]), "components": parts}
        if self.null is None:
            raise EnvzooError(f"the check {self.sentence!r} names no null; say what it is computed from if it is false")
        if callable(self.null):
            broken = Check(**{**vars(self), "measure": self.null})
            return broken._entry(results, CONFIDENCE)
        return self._entry(results.with_runs(self.null), CONFIDENCE)


def compare(value: float, operator: str, threshold: float) -> bool:
    """Evaluate `value operator threshold`."""
    return {
        ">=": value >= threshold,
        ">": value > threshold,
        "<=": value <= threshold,
        "<": value < threshold,
    }[operator]


# ---------------------------------------------------------------------------- constructors


def exact(sentence: str, measure: Measure, operator: str, threshold: float, *, null: Null, **more: Any) -> Check:
    """Create a check of an identity: one number without uncertainty, such as the largest error of a formula.

    Args:
        sentence: The condition in words.
        measure: Computes the number from the results.
        operator: ">=", ">", "<=" or "<".
        threshold: The bound.
        null: Computes the number with an error put into the identity, from the results.
        **more: `primary`, `full_only`, `paper_claim`.
    """
    return Check(sentence, "exact", measure, operator, threshold, null=null, **more)


def seeded(
    sentence: str,
    measure: Measure,
    operator: str,
    threshold: float,
    *,
    null: Null,
    estimand: Estimand = "mean",
    **more: Any,
) -> Check:
    """Create a check on one value per seed, or per pair of runs that share a seed.

    Args:
        sentence: The condition in words.
        measure: Computes the values, (n,), from the results; `difference` and `ratio` pair the runs of two arms.
        operator: ">=", ">", "<=" or "<".
        threshold: The bound.
        null: Maps an arm to the arm whose runs replace it if the claim is false; or computes the values.
        estimand: "mean", "ratio", "share", "median" or "proportion".
        **more: `primary`, `full_only`, `paper_claim`, `trials`.
    """
    return Check(sentence, "seeded", measure, operator, threshold, estimand, null=null, **more)


def equivalence(
    sentence: str,
    measure: Measure,
    low: float,
    high: float,
    *,
    null: Null,
    estimand: Estimand = "mean",
    **more: Any,
) -> Check:
    """Create a check that a whole interval lies between two bounds; for the arguments see `seeded`."""
    return Check(sentence, "equivalence", measure, "in", (low, high), estimand, null=null, **more)


def all_of(sentence: str, *components: Check, **more: Any) -> Check:
    """Create a check that holds if all its components hold, such as an order of several arms."""
    return Check(sentence, "all_of", components=components, operator="all", **more)


def point(sentence: str, measure: Measure, operator: str, threshold: float, full_only: bool = False) -> Check:
    """Create a check whose number has no interval and which therefore has no verdict."""
    return Check(sentence, "point", measure, operator, threshold, full_only=full_only)


# ---------------------------------------------------------------------------- measures


@dataclass(frozen=True)
class Score:
    """Measure: a score of an arm for each seed, (n,)."""

    arm: str
    score: str

    def __call__(self, results: Results) -> np.ndarray:
        """Read the values."""
        return results.scores(self.arm, self.score)


@dataclass(frozen=True)
class PairedMeasure(ABC):
    """Base of measures that compare a score of two arms for each seed that both ran with."""

    arm: str
    other: str
    score: str

    def __call__(self, results: Results) -> np.ndarray:
        """Read the values, (n,)."""
        return self.compare(*results.paired(self.arm, self.other, self.score))

    @abstractmethod
    def compare(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Compare the scores of the two arms, (n,) each."""


class Difference(PairedMeasure):
    """Measure: score of an arm less that of another, for each seed that both ran with, (n,)."""

    def compare(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Subtract the scores."""
        return first - second


class Ratio(PairedMeasure):
    """Measure: score of an arm over that of another, for each seed that both ran with, (n,); estimand "ratio"."""

    def compare(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Divide the scores."""
        return first / second
