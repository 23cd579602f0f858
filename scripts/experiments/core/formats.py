"""Formats of numbers, intervals, bounds and verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from envzoo.scripts.experiments.core.intervals import CONFIDENCE
from envzoo.scripts.experiments.core.verdicts import FAILS, HOLDS, INCONCLUSIVE, verdict_of


def format_number(value: float | None) -> str:
    """Format a number with three digits, or four near one, where ratios and shares differ in the last."""
    if value is None or not math.isfinite(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.4g}" if 0.9 <= abs(value) < 1.2 else f"{value:.3g}"


def format_interval(ends: list[float | None] | None) -> str:
    """Format the ends of an interval; an end that is unbounded for lack of seeds is a dash."""
    if ends is None:
        return ""
    low, high = (format_number(end) if end is not None else "-" for end in ends)
    return f"[{low}, {high}]"


def format_confidence(checks: Iterable[Mapping[str, Any]]) -> str:
    """Format the confidence of the intervals of checks in results.json and their components: "95%", "95% or 98.75%"."""
    entries = (entry for check in checks for entry in (check, *check.get("components", ())))
    levels = {entry["confidence"] for entry in entries if entry.get("confidence")} or {CONFIDENCE}
    return " or ".join(f"{100 * level:g}%" for level in sorted(levels))


def format_bound(check: Mapping[str, Any]) -> str:
    """Format the bound of a check in results.json."""
    if check["operator"] == "all":
        return "all of them"
    if check["operator"] == "in":
        low, high = check["threshold"]
        return f"in [{format_number(low)}, {format_number(high)}]"
    return f"{check['operator']} {format_number(check['threshold'])}"


def format_verdict(check: Mapping[str, Any]) -> str:
    """Format the verdict of a check; if it is inconclusive, add the number of seeds that would decide it."""
    verdict = verdict_of(check)
    if verdict == INCONCLUSIVE:
        needed = check.get("seeds_needed")
        return f"inconclusive ({f'{needed:,}' if needed else 'over 10,000'} seeds needed)"
    return {HOLDS: "holds", FAILS: "**fails**"}.get(verdict, verdict)
