"""Panels of the figures of the experiments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.verdicts import FAILS, HOLDS, INCONCLUSIVE, NOT_JUDGED, NOT_RUN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#22272e"
MUTED = "#6b7480"
PALE = "#e6e9ed"
# Distinguishable with any colour vision, and in greyscale.
BLUE, ORANGE, GREEN, PURPLE, RED, SKY, GREY = (
    "#1f5fae",
    "#e07b00",
    "#2a9d6e",
    "#7a4fb5",
    "#c23b4b",
    "#5aa9e6",
    "#8a929c",
)
OCHRE, PINK = "#b98a2f", "#d78fc0"
SERIES = (GREY, BLUE, ORANGE, GREEN, RED, PURPLE, SKY, INK, OCHRE, PINK)  # for many arms, the reference first

STYLE = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


# Figures begin with the verdict, so that a failed claim is not presented as a result.
HEADS = {
    HOLDS: "Holds",
    FAILS: "Fails",
    INCONCLUSIVE: "Undecided",
    NOT_RUN: "Not decided yet",
    NOT_JUDGED: "Not judged",
}


def title(figure, results: Results, text: str) -> None:
    """Write the text above and below all panels: the verdict on the claim `text`, and the meaning of the bands."""
    seeds = len(results.data["seeds"])
    figure.suptitle(f"{HEADS[results.verdict]}: {text}", x=0.01, ha="left", fontsize=12.5, fontweight="bold", wrap=True)
    figure.supxlabel(
        f"Interquartile mean over {seeds} seed{'s' if seeds > 1 else ''}, bands and whiskers are 95% bootstrap "
        f"intervals.  Paper {results.data['paper']['slug']}.  {results.sentence}",
        x=0.01,
        ha="left",
        fontsize=8,
        color=MUTED,
        wrap=True,
    )


def format_steps(value: float, _: object = None) -> str:
    """Format a number of steps for an axis: 500, 20k, 1.5M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def learning_curves(
    axes: Axes, results: Results, arms: Mapping[str, str], metric: str, *, labels: Mapping[str, str] | None = None
) -> None:
    """Plot IQM lines with interval bands over timesteps.

    Args:
        axes: Axes to draw on.
        results: Results of the experiment.
        arms: Arm -> colour; arms that did not run, or do not have the metric, are skipped.
        metric: Training metric.
        labels: Arm -> label in the legend; None uses the names.
    """
    for arm, colour in arms.items():
        if arm not in results.arms:
            continue
        x, iqm, low, high = results.curve(arm, metric)
        if not x.size:
            continue
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(x, iqm, color=colour, label=(labels or {}).get(arm, arm))
    axes.margins(x=0.01)
    axes.xaxis.set_major_formatter(format_steps)
    axes.set_xlabel("environment steps")


def final_bars(
    axes: Axes,
    results: Results,
    arms: Mapping[str, str],
    score: str,
    *,
    labels: Mapping[str, str] | None = None,
    number: str = "{:.1f}",
) -> None:
    """Draw a horizontal bar for the IQM of each arm, with its interval, the seeds as dots, and the value beside it."""
    shown = [arm for arm in arms if results.has(arm, score)]
    for row, arm in enumerate(shown):
        iqm, low, high = results.estimate(arm, score)
        axes.barh(row, iqm, height=0.62, color=arms[arm], linewidth=0)
        axes.plot([low, high], [row, row], color=INK, linewidth=1.2, solid_capstyle="butt")
        values = results.scores(arm, score)
        axes.scatter(values, np.full(len(values), row), s=9, color="white", edgecolors=INK, linewidths=0.6, zorder=3)
        # The values are in a separate column that does not overlap bars, whiskers or bounds.
        axes.annotate(
            number.format(iqm),
            (1.0, row),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold",
            annotation_clip=False,
        )
    axes.set_yticks(range(len(shown)), [(labels or {}).get(arm, arm) for arm in shown])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)


def level(
    axes: Axes,
    value: float,
    text: str,
    *,
    colour: str = MUTED,
    vertical: bool = False,
    below: bool = False,
    left: bool = False,
) -> None:
    """Draw a dashed line at a bound or reference, with a label above (or below) its right (or left) end."""
    if vertical:
        axes.axvline(value, color=colour, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1)
        axes.annotate(
            text,
            (value, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7.5,
            color=colour,
        )
    else:
        axes.axhline(value, color=colour, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1)
        axes.annotate(
            text,
            (0.0 if left else 1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(4 if left else -2, -2 if below else 2),
            textcoords="offset points",
            ha="left" if left else "right",
            va="top" if below else "bottom",
            fontsize=7.5,
            color=colour,
        )
