"""The result of a benchmark (`Row`), and the timing of subjects (`measure`)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line of a benchmark's table.

    Attributes:
        name: Name of the measurement.
        value: The measured number; NaN when it could not be measured.
        unit: Unit of `value`.
        ratio: How many times better envzoo is than the subject of this row, if that is another package.
        target: The smallest `ratio` that counts as a pass, if there is one.
        note: A comment, such as why the row could not be measured.
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    target: float | None = None
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the target is met; None if there is no target or no measurement."""
        return None if self.ratio is None or self.target is None else self.ratio >= self.target


@dataclass(frozen=True)
class Timing:
    """Seconds per call of one subject, over all rounds."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The fastest call, which is least affected by other programs."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The median call."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Prepared:
    """A subject that cannot be called twice: `run` takes what `prepare` returns, and it alone is timed."""

    prepare: Callable[[], Any]
    run: Callable[[Any], object]


def measure(
    subjects: Mapping[str, Callable[[], object] | Prepared],
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time the subjects in turns, so that slow periods of the machine affect all of them equally.

    Args:
        subjects: Maps a name to a function without arguments that does the same amount of work in every call, or to a
            `Prepared` one.
        repeats: Number of rounds; an additional first round, for compilation and caches, is not measured.
        clock: Tells the time in seconds; `time.process_time` for the time of the processor, all threads together, which
            other programs on the machine affect little.

    Returns:
        A dict from name to timing.
    """
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for round_number in range(repeats + 1):
        for name, subject in subjects.items():
            made = (subject.prepare(),) if isinstance(subject, Prepared) else ()
            function = subject.run if isinstance(subject, Prepared) else subject
            start = clock()
            function(*made)
            if round_number:
                seconds[name].append(clock() - start)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}
