"""The values of a verdict, and the combination of verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

Verdict = Literal["holds", "fails", "inconclusive", "not run", "not judged"]
HOLDS, FAILS, INCONCLUSIVE, NOT_RUN, NOT_JUDGED = "holds", "fails", "inconclusive", "not run", "not judged"
VERDICTS = (HOLDS, FAILS, INCONCLUSIVE, NOT_RUN, NOT_JUDGED)
EXIT_CODES = {HOLDS: 0, FAILS: 1, INCONCLUSIVE: 3, NOT_RUN: 3, NOT_JUDGED: 0}


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine the verdicts of several conditions that must all hold."""
    verdicts = list(verdicts)
    for found in (FAILS, INCONCLUSIVE, NOT_RUN, NOT_JUDGED):
        if found in verdicts:
            return found
    return HOLDS if verdicts else NOT_JUDGED


def verdict_of(entry: Mapping[str, Any]) -> Verdict:
    """Read the verdict from an entry of results.json; results from before verdicts had intervals are not judged."""
    found = entry.get("verdict", NOT_JUDGED)
    return found if found in VERDICTS else NOT_JUDGED
