"""Results of conformance checks, and comparisons that several checks share."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        name: Name of the check.
        about: What the check demands, one sentence.
        problems: What was found instead; empty if the check passed.
        skipped: Why the check does not apply, or "".
    """

    name: str
    about: str
    problems: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was found; also True for a check that does not apply."""
        return not self.problems


@dataclass
class Report:
    """Results of all checks of an environment.

    Attributes:
        env_id: Id of the environment.
        findings: One finding per check.
        speed: Steps per second of the forms that were checked, by name.
    """

    env_id: str
    findings: list[Finding] = field(default_factory=list)
    speed: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(finding.passed for finding in self.findings)

    def failed(self) -> list[str]:
        """Return the names of the checks that failed."""
        return [finding.name for finding in self.findings if not finding.passed]

    def __str__(self) -> str:
        lines = [f"{self.env_id}: {'passed' if self.passed else 'failed'}"]
        for finding in self.findings:
            mark = "skip" if finding.skipped else "ok" if finding.passed else "FAIL"
            lines.append(f"  {mark:4}  {finding.name}: {finding.skipped or finding.about}")
            lines += [f"        - {problem}" for problem in finding.problems]
        lines += [f"  {name}: {rate:,.0f} steps per second" for name, rate in self.speed.items()]
        return "\n".join(lines)


class Skipped(Exception):
    """A check does not apply; the message says why."""


def equal(a: Any, b: Any) -> bool:
    """Tell whether two observations (arrays, numbers, texts, and dicts and tuples of them) are the same."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return set(a) == set(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, np.ndarray | np.number | float | int) and isinstance(b, np.ndarray | np.number | float | int):
        a, b = np.asarray(a), np.asarray(b)
        return a.shape == b.shape and bool(
            np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc")
        )
    try:
        return bool(a == b)
    except (ValueError, TypeError):
        return a is b


def row(batched: Any, i: int) -> Any:
    """Return episode i of batched observations (arrays, and dicts and tuples of them)."""
    if isinstance(batched, Mapping):
        return {key: row(value, i) for key, value in batched.items()}
    if isinstance(batched, tuple):
        # A batch of a Tuple space is a tuple of batches; a batch of any other space is a tuple of observations.
        return batched[i] if not isinstance(batched[0], np.ndarray) else tuple(row(value, i) for value in batched)
    return batched[i]


def keep(value: Any) -> Any:
    """Return a deep copy of an observation."""
    return copy.deepcopy(value)
