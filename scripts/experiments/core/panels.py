"""Panels that stay readable when a figure is shown 800 pixels wide: few lines, labelled where they end."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from envzoo.scripts.experiments.core.figures import GREEN, HEADS, INK, MUTED, ORANGE, RED, format_steps
from envzoo.scripts.experiments.core.intervals import Estimand, interval
from envzoo.scripts.experiments.core.report import format_number
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.verdicts import FAILS, HOLDS, verdict_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 9.0  # inches of a figure; at 150 dots per inch and shown 800 pixels wide, 9 points are 11 pixels
LETTERS, SMALL_LETTERS = 76, 150  # that fit a line of the title, and of the note below the panels
LINE = 0.052  # height of a label, as a share of the axes


def heading(figure: Figure, results: Results, text: str, height: float) -> None:
    """Set the size of a figure, and write the verdict on the claim `text` above its panels and a note below them.

    Args:
        figure: An empty figure.
        results: Results of the experiment.
        text: The claim in a few words.
        height: Height of the figure in inches.
    """
    figure.set_size_inches(WIDTH, height)
    words = textwrap.fill(f"{HEADS[results.verdict]}: {text}", LETTERS)
    figure.suptitle(words, x=0.01, ha="left", fontsize=12, fontweight="bold")
    note = (
        "Curves are medians over seeds with bands of their middle half; dots are estimates with 95% intervals. "
        f"Paper {results.data['paper']['slug']}. {results.sentence}"
    )
    figure.supxlabel(textwrap.fill(note, SMALL_LETTERS), x=0.01, ha="left", fontsize=8, color=MUTED)


def median_curves(
    axes: Axes,
    results: Results,
    arms: Mapping[str, str],
    metric: str,
    labels: Mapping[str, str],
    *,
    references: Mapping[str, tuple[float, str]] | None = None,
    unit: str = "environment steps",
) -> None:
    """Plot the median of a training metric over the seeds of each arm, with the label at the end of the line.

    Args:
        axes: Axes to draw on, whose limits of y are set by the caller beforehand or left to the data.
        results: Results of the experiment.
        arms: Arm -> colour; arms that did not run, or do not have the metric, are skipped.
        metric: Training metric.
        labels: Arm -> label.
        references: Label -> level and colour of a dashed horizontal line.
        unit: Label of the x-axis.
    """
    ends: list[tuple[float, str, str]] = []
    for arm, colour in arms.items():
        lines = results.lines(arm, metric) if arm in results.arms else []
        if not lines or not all(x.size for x, _ in lines):
            continue
        grid = lines[0][0]
        values = np.stack([np.interp(grid, x, y) for x, y in lines])
        low, middle, high = np.percentile(values, [25, 50, 75], axis=0)
        axes.fill_between(grid, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(grid, middle, color=colour)
        ends.append((float(middle[-1]), labels[arm], colour))
    for label, (value, colour) in (references or {}).items():
        axes.axhline(value, color=colour, linestyle=(0, (4, 3)), linewidth=1.0, zorder=1)
        ends.append((value, label, colour))
    axes.margins(x=0)
    axes.xaxis.set_major_formatter(format_steps)
    axes.set_xlabel(unit)
    label_ends(axes, ends)


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write labels to the right of the axes at the given heights, (value, label, colour), moved apart where needed."""
    if not ends:
        return
    axes.autoscale_view()
    axes.set_ylim(*axes.get_ylim())  # later lines must not move the labels
    to_share = axes.transAxes.inverted()
    rows = sorted((float(to_share.transform(axes.transData.transform((0, y)))[1]), words, c) for y, words, c in ends)
    gap = LINE * 3.0 / axes.get_position().height / axes.figure.get_figheight()
    heights = spread([row[0] for row in rows], gap)
    for i in reversed(range(len(heights))):  # the highest must not reach the title
        heights[i] = min(heights[i], 1.0 if i == len(heights) - 1 else heights[i + 1] - gap)
    for (_, words, colour), height in zip(rows, heights, strict=True):
        place = {"xycoords": "axes fraction", "xytext": (5, 0), "textcoords": "offset points"}
        axes.annotate(words, (1.0, height), va="center", fontsize=8, color=colour, annotation_clip=False, **place)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move ascending numbers apart until neighbours differ by `gap`, each cluster around its mean."""
    clusters: list[list[float]] = []  # each is a sum of heights and a count
    for height in heights:
        clusters.append([height, 1])
        while len(clusters) > 1:
            (first, n), (second, m) = clusters[-2:]
            if second / m - first / n >= gap * (n + m) / 2:
                break
            clusters[-2:] = [[first + second, n + m]]
    return [total / n + gap * (i - (n - 1) / 2) for total, n in clusters for i in range(int(n))]


class Row(NamedTuple):
    """A row of `dots`: its label, one value per seed or pair, and its colour, estimand and trials."""

    label: str
    values: Any
    colour: str
    estimand: Estimand = "mean"
    trials: int | None = None


def dots(axes: Axes, rows: Sequence[Row], *, number: Callable[[float], str] = format_number) -> None:
    """Draw each row's estimate with its 95% interval, and its number in a column to the right."""
    for at, row in enumerate(rows):
        found = interval(row.values, row.estimand, trials=row.trials)
        ends = [end if np.isfinite(end) else found.value for end in (found.low, found.high)]
        axes.plot(ends, [at, at], color=row.colour, linewidth=2.4, solid_capstyle="butt")
        axes.plot([found.value], [at], "o", color=row.colour, markersize=6)
        _number(axes, at, number(found.value))
    _name_rows(axes, [row.label for row in rows])


def verdicts(
    axes: Axes,
    entries: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    number: Callable[[float], str] = format_number,
) -> None:
    """Draw the estimates of checks with their intervals and bounds, coloured by their verdicts.

    Args:
        axes: Axes to draw on.
        entries: (label, entry of results.json) of seeded checks and equivalences.
        number: Formats the numbers in the column to the right.
    """
    colours = {HOLDS: GREEN, FAILS: RED}
    for at, (_, entry) in enumerate(entries):
        colour = colours.get(verdict_of(entry), ORANGE)
        value, ends = entry["value"], entry["interval"] or (None, None)
        low, high = (value if end is None else end for end in ends)
        axes.plot([low, high], [at, at], color=colour, linewidth=2.4, solid_capstyle="butt")
        axes.plot([value], [at], "o", color=colour, markersize=6)
        bounds = entry["threshold"] if isinstance(entry["threshold"], list | tuple) else [entry["threshold"]]
        axes.plot(bounds, [at] * len(bounds), "|", color=INK, markersize=13, markeredgewidth=1.6)
        _number(axes, at, number(value))
    _name_rows(axes, [label for label, _ in entries])


def _number(axes: Axes, row: float, words: str) -> None:
    place = {"xycoords": ("axes fraction", "data"), "xytext": (5, 0), "textcoords": "offset points"}
    axes.annotate(words, (1.0, row), va="center", fontsize=8, fontweight="bold", annotation_clip=False, **place)


def _name_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def entry_of(results: Results, words: str) -> Mapping[str, Any]:
    """Find the entry of results.json whose sentence, or that of a component, contains the words."""
    for check in results.data["checks"]:
        for entry in (check, *check.get("components", ())):
            if words in entry["sentence"]:
                return entry
    raise LookupError(words)
