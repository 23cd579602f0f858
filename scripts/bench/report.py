"""What every benchmark returns (`Row`), and how every benchmark measures (`measure`)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of a benchmark's table.

    Attributes:
        name: What was measured.
        value: The measured number; NaN when it could not be measured.
        unit: Unit of `value`.
        ratio: How many times better envzoo is than this row's subject, where the row is a peer.
        target: The least `ratio` that counts as a pass, where there is one.
        note: One sentence, such as why the row could not be measured.
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    target: float | None = None
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the target is met; None when there is no target, or nothing was measured."""
        return None if self.ratio is None or self.target is None else self.ratio >= self.target


@dataclass(frozen=True)
class Timing:
    """Seconds per call of one subject, over all rounds."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The fastest call: the one least disturbed by other programs."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The middle call."""
        return statistics.median(self.seconds)


def measure(subjects: Mapping[str, Callable[[], object]], repeats: int = 5) -> dict[str, Timing]:
    """Time the subjects in turns, so that a slow spell of the machine falls on all of them alike.

    Args:
        subjects: Name to a function without arguments, which does the same amount of work in every call.
        repeats: Number of rounds; one more comes first, unmeasured, for compilation and caches.

    Returns:
        Name to its timing.
    """
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for round_number in range(repeats + 1):
        for name, function in subjects.items():
            start = time.perf_counter()
            function()
            if round_number:
                seconds[name].append(time.perf_counter() - start)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}
