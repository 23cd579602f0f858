"""The form of an experiment: which agents learn where, what is measured, and what must hold for the claim to stand."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from envzoo.errors import EnvzooError, unknown
from envzoo.papers import Paper
from envzoo.scripts.experiments.statistics import Estimate, bootstrap_iqm, bootstrap_iqm_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from envzoo.agents.agent import Agent
    from envzoo.agents.evaluation import EvaluationResult

SECONDS = "seconds"
COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


@dataclass(frozen=True)
class Evaluation:
    """One way to play the finished agent. It gives the scores "return", "length" and the numeric infos (means).

    Attributes:
        episodes: How many.
        deterministic: Play the mode of the policy, or sample from it.
        env: Environment id; None plays where the agent learned.
        env_kwargs: Keywords of `env`.
        prefix: Goes before the names of the scores, to tell several evaluations apart ("mode/").
        measure: More scores from the episodes; a function of a module.
        prepare: Makes what plays from the finished agent, such as one player of two; None plays the agent itself.
        inspect: More scores read off the agent after the episodes; a function of a module.
    """

    episodes: int = 100
    deterministic: bool = True
    env: str | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    measure: Callable[[EvaluationResult], dict[str, float]] | None = None
    prepare: Callable[[Any], Any] | None = None
    inspect: Callable[[Agent], dict[str, float]] | None = None


@dataclass(frozen=True)
class Arm:
    """One agent on one environment, to be repeated over seeds.

    Attributes:
        name: Unique name, shown in tables and figures.
        agent: Name of a registered agent.
        env: Environment id.
        timesteps: Budget of `learn`; 0 for an agent that does not learn.
        hyperparameters: Of the agent; what is not named keeps its default.
        env_kwargs: Keywords of the environment.
        evaluations: How the finished agent is scored.
        group: Arms of one group are compared with each other.
        curves: Metrics of learning to record. The mean of the last tenth of learning is a score of the same name.
        points: Points of a curve, each the mean over a stretch of equal length.
        quick_timesteps: Budget with `--quick`; None keeps the full one.
        quick_hyperparameters: Those that differ with `--quick`.
        full_only: Leave the arm out with `--quick`.
    """

    name: str
    agent: str
    env: str
    timesteps: int
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = (Evaluation(),)
    group: str = ""
    curves: tuple[str, ...] = ("rollout/return_mean",)
    points: int = 100
    quick_timesteps: int | None = None
    quick_hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    full_only: bool = False


@dataclass(frozen=True)
class Check:
    """A part of the claim: a number computed from the results, and the bound it must keep.

    Attributes:
        sentence: What is claimed.
        compute: The number, from the results.
        operator: How it compares with the bound.
        threshold: The bound.
        full_only: Not judged with `--quick`, which is too short for it.
    """

    sentence: str
    compute: Callable[[Results], float]
    operator: Literal[">=", ">", "<=", "<"]
    threshold: float
    full_only: bool = False

    def verdict(self, results: Results) -> dict[str, Any]:
        """What was measured and whether it holds; a value that is not finite does not."""
        value = float(self.compute(results))
        holds = math.isfinite(value) and bool(COMPARE[self.operator](value, self.threshold))
        return {
            "sentence": self.sentence,
            "value": value,
            "operator": self.operator,
            "threshold": self.threshold,
            "holds": holds,
        }


@dataclass(frozen=True)
class Table:
    """A table of the report: the arms of a group, and a column for each score.

    Attributes:
        group: Which arms.
        title: Heading.
        columns: Score -> heading.
        expected: Arm -> a number to compare with, in a column of its own.
        expected_heading: What those numbers are.
        arms: Which arms, in this order, in place of those of the group; those that did not run are passed over.
        derived: Heading -> a number computed from the results and the name of the arm, after the scores.
    """

    group: str
    title: str
    columns: Mapping[str, str]
    expected: Mapping[str, float] = field(default_factory=dict)
    expected_heading: str = "expected"
    arms: tuple[str, ...] = ()
    derived: Mapping[str, Callable[[Results, str], float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A paper's central claim as a program.

    Attributes:
        paper: The paper.
        question: What is asked, one sentence.
        claim: What is expected, one sentence.
        arms: Who learns where.
        checks: What must hold.
        figure: Draws the results onto an empty matplotlib figure.
        tables: Tables of the report.
        seeds: Number of seeds of each arm.
        quick_seeds: The same with `--quick`.
        first_seed: Seeds count from here, so that what is chosen on some is judged on others.
        notes: Sentences for the report: what was changed against the paper, and why.
        small_scale: The paper's claim is about far larger models, and a failing check says so.
    """

    paper: Paper
    question: str
    claim: str
    arms: tuple[Arm, ...]
    checks: tuple[Check, ...]
    figure: Callable[[Results, Figure], None]
    tables: tuple[Table, ...]
    seeds: int = 5
    quick_seeds: int = 2
    first_seed: int = 0
    notes: tuple[str, ...] = ()
    small_scale: bool = False

    def __post_init__(self):
        names = [arm.name for arm in self.arms]
        twice = {name for name in names if names.count(name) > 1}
        if twice or not names:
            raise EnvzooError(f"an experiment needs arms with names of their own, got {names}")
        for check in self.checks:
            if check.operator not in COMPARE:
                raise unknown("operator of a check", check.operator, COMPARE)

    def sweep(self, quick: bool) -> tuple[Arm, ...]:
        """The arms that run."""
        return tuple(arm for arm in self.arms if not (quick and arm.full_only))


class Results:
    """What an experiment measured; a view on the contents of results.json, from which tables and figure are made.

    Args:
        data: See `envzoo.scripts.experiments.execution.run_experiment`.
    """

    def __init__(self, data: dict[str, Any]):
        self.data = data

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms that ran."""
        return tuple(self.data["arms"])

    @property
    def verdict(self) -> str:
        """Whether the claim holds, one sentence."""
        if not self.data["holds"]:
            held, of = sum(check["holds"] for check in self.data["checks"]), len(self.data["checks"])
            if self.data.get("small_scale"):
                return f"Not reproduced in full at this scale: {held} of {of} checks hold."
            return "The claim does not hold in full."
        left_out = self.data.get("unchecked", 0)
        return (
            f"The claim holds{f', as far as a quick run goes ({left_out} of the checks left out)' if left_out else ''}."
        )

    def group(self, group: str) -> tuple[str, ...]:
        """Names of the arms of a group that ran."""
        return tuple(name for name, arm in self.data["arms"].items() if arm["group"] == group)

    def _runs(self, arm: str) -> list[dict[str, Any]]:
        if arm not in self.data["arms"]:
            raise unknown("arm", arm, self.data["arms"])
        return self.data["arms"][arm]["runs"]

    def has(self, arm: str, score: str) -> bool:
        """Whether the arm ran and has this score."""
        if arm not in self.data["arms"]:
            return False
        return score == SECONDS or all(score in run["scores"] for run in self._runs(arm))

    def scores(self, arm: str, score: str) -> np.ndarray:
        """A score for each seed, or the wall time under the name "seconds", (seeds,).

        Raises:
            UnknownNameError: No such arm or score.
        """
        runs = self._runs(arm)
        if score == SECONDS:
            return np.array([run[SECONDS] for run in runs], float)
        for run in runs:
            if score not in run["scores"]:
                raise unknown(f"score of {arm}", score, run["scores"])
        return np.array([np.nan if run["scores"][score] is None else run["scores"][score] for run in runs], float)

    def estimate(self, arm: str, score: str) -> Estimate:
        """IQM over the seeds with its 95% interval."""
        return bootstrap_iqm(self.scores(arm, score))

    def iqm(self, arm: str, score: str) -> float:
        """IQM over the seeds."""
        return self.estimate(arm, score).iqm

    def lines(self, arm: str, metric: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Timesteps and metric of learning for each seed, (points,) each; points without a value are left out.

        Raises:
            UnknownNameError: No such arm.
        """
        found = []
        for run in self._runs(arm):
            x = np.array(run["curves"]["timesteps"], float)
            y = np.array([np.nan if value is None else value for value in run["curves"].get(metric, [])], float)
            known = np.isfinite(y)
            found.append((x[: len(y)][known], y[known]))
        return found

    def curve(self, arm: str, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Timesteps, IQM over the seeds, and the ends of its pointwise interval, each (points,); may be empty."""
        lines = self.lines(arm, metric)
        if not all(x.size for x, _ in lines):
            return (np.empty(0),) * 4
        # Episodes end at different times in different seeds, so every line is read at the times of the first.
        grid = lines[0][0]
        return grid, *bootstrap_iqm_curve(np.stack([np.interp(grid, x, y) for x, y in lines]))
