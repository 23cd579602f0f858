"""The values of a verdict, and how verdicts combine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

Verdict = Literal["holds", "fails", "inconclusive", "not judged"]
HOLDS, FAILS, INCONCLUSIVE, NOT_JUDGED = "holds", "fails", "inconclusive", "not judged"
VERDICTS = (HOLDS, FAILS, INCONCLUSIVE, NOT_JUDGED)
EXIT_CODES = {HOLDS: 0, FAILS: 1, INCONCLUSIVE: 3, NOT_JUDGED: 0}


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine the verdicts of parts that must all hold."""
    verdicts = list(verdicts)
    for found in (FAILS, INCONCLUSIVE, NOT_JUDGED):
        if found in verdicts:
            return found
    return HOLDS if verdicts else NOT_JUDGED


def verdict_of(entry: Mapping[str, Any]) -> Verdict:
    """Return the verdict in an entry of results.json; results written before verdicts had intervals are not judged."""
    found = entry.get("verdict", NOT_JUDGED)
    return found if found in VERDICTS else NOT_JUDGED
