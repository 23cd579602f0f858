"""The definition of an experiment: a paper's claim as arms, checks, tables and a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envzoo.errors import EnvzooError
from envzoo.papers import Paper
from envzoo.scripts.experiments.core.arms import AnyArm
from envzoo.scripts.experiments.core.checks import Check
from envzoo.scripts.experiments.core.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PRIMARY = 3


@dataclass(frozen=True)
class Superseded:
    """A check that was replaced or removed; the page still lists it.

    Attributes:
        sentence: The condition in words.
        value: Its last value.
        bound: Its bound, as text.
        reason: Why it was removed, and what replaced it.
    """

    sentence: str
    value: float
    bound: str
    reason: str


@dataclass(frozen=True)
class Table:
    """A table of the report: a row for each arm of a group, and a column for each score.

    Attributes:
        group: Group of the arms.
        title: Heading.
        columns: Score -> heading.
        expected: Arm -> a reference value, shown in a separate column.
        expected_heading: Heading of that column.
        arms: Arms to show in this order, instead of those of the group; arms that did not run are skipped.
        derived: Heading -> a function of the results and the name of the arm that returns a number, or text such as a
            number with its interval; these columns follow the scores.
    """

    group: str
    title: str
    columns: Mapping[str, str]
    expected: Mapping[str, float] = field(default_factory=dict)
    expected_heading: str = "expected"
    arms: tuple[str, ...] = ()
    derived: Mapping[str, Callable[[Results, str], float | str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A paper's central claim as a program.

    One to three primary checks, chosen before any result is seen, decide the verdict; the other checks are reported.

    Attributes:
        paper: The paper.
        question: The question, in one sentence.
        claim: The expected answer, in one sentence.
        arms: Arms to run.
        checks: Conditions that the claim implies.
        figure: Function that draws the results on an empty matplotlib figure.
        tables: Tables of the report.
        seeds: Number of seeds of each arm that does not set its own.
        quick_seeds: Number of seeds with `--quick`.
        first_seed: First seed, so that choices made on some seeds are judged on others.
        notes: Sentences for the report: differences from the paper, and their reasons.
        reason: Explanation of the verdict in one or two sentences; the third line of the page.
        superseded: Checks that were replaced or removed.
        small_scale: Whether the paper's claim is about far larger models; the verdict then mentions it.
    """

    paper: Paper
    question: str
    claim: str
    arms: tuple[AnyArm, ...]
    checks: tuple[Check, ...]
    figure: Callable[[Results, Figure], None]
    tables: tuple[Table, ...]
    seeds: int = 5
    quick_seeds: int = 2
    first_seed: int = 0
    notes: tuple[str, ...] = ()
    reason: str = ""
    superseded: tuple[Superseded, ...] = ()
    small_scale: bool = False

    def __post_init__(self):
        names = [arm.name for arm in self.arms]
        twice = {name for name in names if names.count(name) > 1}
        if twice or not names:
            raise EnvzooError(f"an experiment needs arms with names of their own, got {names}")
        primary = [check for check in self.checks if check.primary]
        if not self.judged:
            return
        if not 1 <= len(primary) <= MOST_PRIMARY:
            raise EnvzooError(f"one to three primary checks decide an experiment, got {len(primary)}")

    @property
    def judged(self) -> bool:
        """Whether the experiment has checks with verdicts; False for checks in the form of the first release."""
        return any(check.kind != "point" for check in self.checks)

    def sweep(self, quick: bool) -> tuple[AnyArm, ...]:
        """Select the arms of a quick or full run."""
        return tuple(arm for arm in self.arms if not (quick and arm.full_only))
