"""Score hostile and plausible answers, and report the effects and the time taken."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from envzoo.reasoning.reasoning_gym import library
from envzoo.reasoning.safe_scoring import REVIEWS, score_answer
from envzoo.scripts.hostile_answers.generated import handwritten, mutated
from envzoo.scripts.hostile_answers.variants import right_answer, variants

FORBIDDEN = ("os.", "subprocess.", "open", "import", "exec", "compile", "socket.", "shutil.", "ctypes.", "pty.")


class Audit:
    """Records Python's audit events while `watching`. A hook cannot be removed, so there is one per process."""

    def __init__(self) -> None:
        self.events: set[str] | None = None
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple) -> None:
        if self.events is not None:
            self.events.add(event)

    @contextmanager
    def watching(self) -> Iterator[set[str]]:
        """Yield a set that collects the names of events during the block."""
        self.events = found = set()
        try:
            yield found
        finally:
            self.events = None


@dataclass
class Report:
    """The result of an attack on one dataset.

    Attributes:
        name: Name of the dataset.
        answers: Number of scored answers.
        events: Audit events that a right answer does not cause, each with an answer.
        outside: Answers whose score was not a number from 0 to 1.
        slowest: The longest time in seconds that an answer took, and the beginning of the answer.
    """

    name: str
    answers: int = 0
    events: dict[str, str] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")


def attack(name: str, audit: Audit, mutants: int, every: int = 1, seed: int = 0) -> Report:
    """Score hostile answers to two items of a dataset.

    Args:
        name: Name of a supported dataset.
        audit: The hook of this process.
        mutants: Number of answers derived from right ones, in addition to the handwritten ones.
        every: Use every n-th handwritten answer.
        seed: Seed of the dataset and of the mutants.
    """
    dataset = library().create_dataset(name, size=4, seed=seed)
    rng, report = Random(f"{name} {seed}"), Report(name)
    entries = [dataset[0], dataset[1]]
    rights = [right_answer(name, entry) for entry in entries]
    for _ in range(2):  # the first time may import and compile code
        with audit.watching() as harmless:
            for entry, right in zip(entries, rights, strict=True):
                score_answer(name, dataset, right, entry)
    answers = handwritten()[rng.randrange(every) :: every]
    answers += mutated(rights[0], mutants // 2, rng) + mutated(rights[1], mutants - mutants // 2, rng)
    for number, answer in enumerate(answers):
        with audit.watching() as events:
            start = time.perf_counter()
            score = score_answer(name, dataset, answer, entries[number % 2])
            seconds = time.perf_counter() - start
        report.answers += 1
        if not (type(score) is float and 0.0 <= score <= 1.0):
            report.outside.append(answer[:80])
        for event in events:
            if event not in harmless or event.startswith(FORBIDDEN):
                report.events.setdefault(event, answer[:80])
        report.slowest = max(report.slowest, (seconds, answer[:60]))
    return report


@dataclass
class Agreement:
    """A comparison of envzoo's scores of plausible answers with those of the package.

    Attributes:
        name: Name of the dataset.
        entries: Number of items.
        answers: Number of scored answers.
        wrong_on_right: Right answers with different scores, with both scores.
        differences: All answers with different scores.
        full: Number of answers that scored 1.
        late: Number of answers that the package did not score in time; they are not compared.
    """

    name: str
    entries: int = 0
    answers: int = 0
    full: int = 0
    late: int = 0
    wrong_on_right: list[tuple[str, float, float]] = field(default_factory=list)
    differences: list[tuple[str, float, float]] = field(default_factory=list)


class Late(BaseException):
    """Raised when time is up. Not an Exception, because scorers catch those."""


def within(seconds: float, call: Callable[[], float]) -> float | None:
    """Return the value of a call, or None if it takes longer than `seconds`. In the main thread on POSIX only."""

    def stop(*_: Any) -> None:
        if not ended:
            late.append(True)
            raise Late

    ended: list[bool] = []
    late: list[bool] = []
    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        value = float(call())
        ended.append(True)
    except Late:
        value = None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return None if late else value  # a call may catch even this exception


def compare(name: str, entries: int, most: int | None = None, seed: int = 0, seconds: float = 60.0) -> Agreement:
    """Score generated plausible answers with envzoo's parser and with the package's scorer.

    Args:
        name: Name of a dataset with a parser in envzoo.
        entries: Number of items.
        most: Number of wrong and unusual answers per item, sampled at random; None uses all.
        seed: Seed of the dataset and of the variants.
        seconds: Time that the package's scorer gets per answer; some integrals take it hours.
    """
    dataset = library().create_dataset(name, size=entries, seed=seed)
    rng, result = Random(f"{name} {seed}"), Agreement(name, entries)
    for item in range(entries):
        entry: dict[str, Any] = dataset[item]
        right, *others = variants(name, entry, rng)
        chosen = others if most is None or most >= len(others) else rng.sample(others, most)
        for answer in dict.fromkeys([right, *chosen]):
            ours = score_answer(name, dataset, answer, entry)
            theirs = within(seconds, partial(dataset.score_answer, answer=answer, entry=entry))
            if theirs is None:
                result.late += 1
                continue
            result.answers += 1
            result.full += ours == 1.0
            if ours != theirs:
                result.differences.append((answer, ours, theirs))
                if answer == right:
                    result.wrong_on_right.append((answer, ours, theirs))
    return result


def own_parsers() -> list[str]:
    """List the datasets whose answers are parsed by envzoo."""
    return [name for name, review in REVIEWS.items() if review.own]
