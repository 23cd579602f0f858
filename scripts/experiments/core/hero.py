"""The hero panel of an experiment: its verdict, and each primary check with its interval beside its bound."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from envzoo.scripts.experiments.core.figures import GREEN, GREY, HEADS, INK, MUTED, ORANGE, RED
from envzoo.scripts.experiments.core.formats import format_bound, format_confidence, format_interval, format_number
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.verdicts import FAILS, HOLDS, INCONCLUSIVE, NOT_RUN, verdict_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAINT = {HOLDS: GREEN, FAILS: RED, INCONCLUSIVE: ORANGE, NOT_RUN: ORANGE}
MOST_ROWS = 10
WIDTH, ROW, HEAD = 8.0, 0.62, 1.05  # inches; shown 800 pixels wide, 9 points are 12 pixels
LETTERS, LONG = 74, 100  # of a line of the title, and of a row's sentence


def hero_rows(results: Results) -> list[tuple[str, Mapping[str, Any]]]:
    """List the primary checks, or the components of a check that has some, as (sentence, entry of results.json)."""
    rows = []
    for check in results.data["checks"]:
        if check["primary"]:
            parts = check.get("components", ())
            for part in parts:
                # Components that say enough by themselves do without a long sentence before them.
                words = f"{check['sentence']}: {part['sentence']}"
                if len(words) > LONG and len(part["sentence"]) < LONG // 2:
                    head = textwrap.shorten(check["sentence"], LONG - len(part["sentence"]) - 2, placeholder=" ...")
                    words = f"{head}: {part['sentence']}"
                rows.append((words if len(words) <= LONG else part["sentence"], part))
            rows += [] if parts else [(check["sentence"], check)]
    return rows[:MOST_ROWS]


def draw_hero(results: Results, figure: Figure) -> None:
    """Draw the hero panel on an empty figure."""
    rows, paper = hero_rows(results), results.data["paper"]
    figure.set_size_inches(WIDTH, HEAD + ROW * max(len(rows), 1))
    title = textwrap.shorten(f"{HEADS[results.verdict]}: {paper['title']}", 2 * LETTERS, placeholder=" ...")
    figure.suptitle(textwrap.fill(title, LETTERS), x=0.01, ha="left", fontsize=12, fontweight="bold",
                    color=PAINT.get(results.verdict, GREY))  # fmt: skip
    confidence = format_confidence(results.data["checks"])
    figure.supxlabel(f"{confidence} intervals, | bounds. Paper {paper['slug']}. {results.sentence}", x=0.01, ha="left",
                     fontsize=8, color=MUTED, wrap=True)  # fmt: skip
    grid = figure.subplots(max(len(rows), 1), 1, squeeze=False)[:, 0]
    for axes in grid:
        axes.set_axis_off()
    for axes, (sentence, entry) in zip(grid, rows, strict=False):
        _draw_row(axes, sentence, entry)


def _draw_row(axes: Axes, sentence: str, entry: Mapping[str, Any]) -> None:
    """Draw a check on a scale of its own, with its sentence above and its numbers to the right."""
    colour = PAINT.get(verdict_of(entry), GREY)
    words = textwrap.shorten(sentence, LONG, placeholder=" ...")
    axes.text(0.0, 1.0, words, transform=axes.transAxes, fontsize=9, color=INK, va="top")
    numbers = f"{format_number(entry['value'])} {format_interval(entry.get('interval'))}  ({format_bound(entry)})"
    axes.text(1.0, 0.28, numbers, transform=axes.transAxes, fontsize=8.5, color=colour, ha="right", va="center")
    if entry["value"] is None:
        return
    threshold = entry["threshold"]
    bounds = list(threshold) if isinstance(threshold, list | tuple) else [threshold]
    ends = [entry["value"] if end is None else end for end in entry.get("interval") or (None, None)]
    low, high = min(*ends, *bounds), max(*ends, *bounds)
    span = (high - low) or max(abs(high), 1.0)

    def place(value: float) -> float:
        return 0.03 + 0.55 * (value - low) / span

    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.plot([0.0, 0.61], [0.28, 0.28], color="#e6e9ed", linewidth=1.0, zorder=1)
    axes.plot([place(end) for end in ends], [0.28, 0.28], color=colour, linewidth=3.0, solid_capstyle="butt", zorder=2)
    axes.plot([place(entry["value"])], [0.28], "o", color=colour, markersize=7, zorder=3)
    axes.plot([place(bound) for bound in bounds], [0.28] * len(bounds), "|", color=INK, markersize=15,
              markeredgewidth=1.8, zorder=4)  # fmt: skip
