"""The form of an experiment: a paper's claim as arms, checks, tables and a figure."""

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
    """A check that was replaced or dropped; the page keeps showing it.

    Attributes:
        sentence: What it demanded.
        value: The value it last had.
        bound: Its bound, as text.
        reason: Why it is gone, and what took its place.
    """

    sentence: str
    value: float
    bound: str
    reason: str


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

    One to three primary checks, named before any result is seen, decide the verdict; the others are reported.

    Attributes:
        paper: The paper.
        question: What is asked, one sentence.
        claim: What is expected, one sentence.
        arms: Who learns where.
        checks: What must hold.
        figure: Draws the results onto an empty matplotlib figure.
        tables: Tables of the report.
        seeds: Number of seeds of each arm that does not name its own.
        quick_seeds: The same with `--quick`.
        first_seed: Seeds count from here, so that what is chosen on some is judged on others.
        notes: Sentences for the report: what was changed against the paper, and why.
        reason: Why the verdict is what it is, one sentence or two; the third line of the page.
        superseded: Checks that were replaced or dropped.
        small_scale: Whether the paper's claim is about far larger models, which the verdict then says.
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
        """Whether the experiment has checks with verdicts; False until those of the first release are replaced."""
        return any(check.kind != "point" for check in self.checks)

    def sweep(self, quick: bool) -> tuple[AnyArm, ...]:
        """Return the arms that run."""
        return tuple(arm for arm in self.arms if not (quick and arm.full_only))
