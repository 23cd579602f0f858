"""Results of an experiment: a view of results.json from which tables and figures are built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from envzoo.errors import EnvzooError, unknown
from envzoo.scripts.experiments.core.statistics import Estimate, bootstrap_iqm, bootstrap_iqm_curve
from envzoo.scripts.experiments.core.verdicts import (
    FAILS,
    HOLDS,
    INCONCLUSIVE,
    NOT_JUDGED,
    NOT_RUN,
    Verdict,
    verdict_of,
)

SECONDS = "seconds"
T = TypeVar("T")


def total_seconds(data: Mapping[str, Any]) -> float:
    """Add up the wall time of all runs in the data of results."""
    return round(sum(arm[SECONDS] for arm in data["arms"].values()), 1)


class Results:
    """Results of an experiment: a view of results.json from which tables and figures are built.

    Args:
        data: See `envzoo.scripts.experiments.execution.run_experiment`.
    """

    def __init__(self, data: dict[str, Any]):
        self.data = data
        self._read: set[str] = set()

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms that ran."""
        return tuple(self.data["arms"])

    @property
    def left_out(self) -> tuple[str, ...]:
        """Groups of arms that have not run yet, because the run was restricted to others."""
        return tuple(self.data.get("left_out", ()))

    @property
    def verdict(self) -> Verdict:
        """The verdict of the experiment, from its primary checks."""
        return verdict_of(self.data)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        checks = self.data.get("checks", [])
        if self.verdict == NOT_JUDGED:
            return "A quick run is not judged." if self.data.get("quick") else "Not yet judged with intervals."
        primary = [check for check in checks if check["primary"]]
        other = [check for check in checks if not check["primary"]]
        text = {
            HOLDS: "The claim holds",
            FAILS: "The claim does not hold at this scale"
            if self.data.get("small_scale")
            else "The claim does not hold",
            INCONCLUSIVE: "The results do not decide the claim",
            NOT_RUN: "The claim is not decided yet",
        }[self.verdict]
        text += f": {_count(primary)} of {len(primary)} primary check{'s' * (len(primary) != 1)} hold"
        text += f", and {_count(other)} of {len(other)} others." if other else "."
        waiting = sum(verdict_of(check) == NOT_RUN for check in checks)
        return text + (f" {waiting} of these {'has' if waiting == 1 else 'have'} not been run." if waiting else "")

    def group(self, group: str) -> tuple[str, ...]:
        """List the arms of a group that ran."""
        return tuple(name for name, arm in self.data["arms"].items() if arm["group"] == group)

    def _runs(self, arm: str) -> list[dict[str, Any]]:
        if arm not in self.data["arms"]:
            raise unknown("arm", arm, self.data["arms"])
        self._read.add(arm)
        return self.data["arms"][arm]["runs"]

    def has(self, arm: str, score: str) -> bool:
        """Check whether the arm ran and has this score."""
        if arm not in self.data["arms"]:
            return False
        return score == SECONDS or all(score in run["scores"] for run in self._runs(arm))

    def scores(self, arm: str, score: str) -> np.ndarray:
        """Return a score for each seed, (seeds,); "seconds" is the wall time.

        Raises:
            UnknownNameError: There is no such arm or score.
        """
        runs = self._runs(arm)
        if score == SECONDS:
            return np.array([run[SECONDS] for run in runs], float)
        for run in runs:
            if score not in run["scores"]:
                raise unknown(f"score of {arm}", score, run["scores"])
        return np.array([np.nan if run["scores"][score] is None else run["scores"][score] for run in runs], float)

    def seeds(self, arm: str) -> tuple[int, ...]:
        """Return the seeds of an arm, in the order of its scores."""
        return tuple(run["seed"] for run in self._runs(arm))

    def shared(self, *arms: str) -> tuple[int, ...]:
        """Return the seeds that all arms ran with, in ascending order.

        Raises:
            EnvzooError: There are no common seeds.
        """
        common = sorted(set.intersection(*(set(self.seeds(arm)) for arm in arms)))
        if not common:
            raise EnvzooError(f"the arms {', '.join(arms)} share no seeds")
        return tuple(common)

    def by_seed(self, arm: str, score: str, seeds: Iterable[int]) -> np.ndarray:
        """Return a score for the given seeds, (len(seeds),)."""
        values = dict(zip(self.seeds(arm), self.scores(arm, score), strict=True))
        return np.array([values[seed] for seed in seeds])

    def paired(self, arm: str, other: str, score: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a score of two arms for each seed that both ran with, (pairs,) each."""
        seeds = self.shared(arm, other)
        return self.by_seed(arm, score, seeds), self.by_seed(other, score, seeds)

    def measure(self, measure: Callable[[Results], T]) -> tuple[T, frozenset[str]]:
        """Compute a measure, and list the groups of the arms that it reads."""
        self._read = set()
        value = measure(self)
        return value, frozenset(self.data["arms"][arm]["group"] for arm in self._read)

    def with_runs(self, of: Mapping[str, str]) -> Results:
        """Return results with the runs of some arms replaced by those of others; `of` maps arm -> replacement."""
        arms = dict(self.data["arms"])
        for arm, other in of.items():
            arms[arm] = {**arms[arm], "runs": self._runs(other)}
        return Results({**self.data, "arms": arms})

    def estimate(self, arm: str, score: str) -> Estimate:
        """Compute the IQM over the seeds with its 95% interval."""
        return bootstrap_iqm(self.scores(arm, score))

    def iqm(self, arm: str, score: str) -> float:
        """Compute the IQM over the seeds."""
        return self.estimate(arm, score).iqm

    def lines(self, arm: str, metric: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return timesteps and a training metric for each seed, (points,) each, without points that have no value.

        Raises:
            UnknownNameError: There is no such arm.
        """
        found = []
        for run in self._runs(arm):
            x = np.array(run["curves"]["timesteps"], float)
            y = np.array([np.nan if value is None else value for value in run["curves"].get(metric, [])], float)
            known = np.isfinite(y)
            found.append((x[: len(y)][known], y[known]))
        return found

    def curve(self, arm: str, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Compute timesteps, IQM over the seeds, and the ends of its pointwise interval, each (points,) or empty."""
        lines = self.lines(arm, metric)
        if not all(x.size for x, _ in lines):
            return (np.empty(0),) * 4
        # Episodes end at different times in different seeds, so every line is interpolated at the times of the first.
        grid = lines[0][0]
        return grid, *bootstrap_iqm_curve(np.stack([np.interp(grid, x, y) for x, y in lines]))


def _count(checks: list[dict[str, Any]]) -> int:
    return sum(verdict_of(check) == HOLDS for check in checks)
