"""The figure of paper 52: returns over the episodes of a new task, and the gain by filtering."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envzoo.scripts.experiments.core.checks import Ratio
from envzoo.scripts.experiments.core.figures import BLUE, GREEN, GREY, ORANGE, SKY
from envzoo.scripts.experiments.core.panels import Row, dots, heading, median_curves
from envzoo.scripts.experiments.core.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = {
    "AD, clean, filtered": (BLUE, "clean, filtered"),
    "AD, clean": (SKY, "clean"),
    "AD, noisy, filtered": (GREEN, "noisy, filtered"),
    "AD, noisy": (ORANGE, "noisy"),
    "random actions": (GREY, "random"),
}
GAINS = {"AD, noisy": GREEN, "AD, clean": BLUE, "DPT, noisy": ORANGE, "DICP, noisy": SKY}


def draw(results: Results, figure: Figure) -> None:
    """Draw the returns of AD over episodes on the left, and the gains on the right."""
    heading(figure, results, "in-context learners learn more from histories that improve", 4.8)
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    colours = {arm: colour for arm, (colour, _) in LINES.items()}
    labels = {arm: label for arm, (_, label) in LINES.items()}
    median_curves(left, results, colours, "return", labels, unit="episode in a new task")
    left.xaxis.set_major_formatter("{x:g}")
    left.set(title="AD on held-out goals: return", ylim=(0, None))
    draw_gains(right, results)


def draw_gains(axes: Axes, results: Results) -> None:
    """Draw the ratios of mean returns with and without the filter."""
    rows = []
    for plain, colour in GAINS.items():
        filtered = f"{plain}, filtered"
        if plain in results.arms and filtered in results.arms:
            rows.append(Row(plain, Ratio(filtered, plain, "mean")(results), colour, "ratio"))
    dots(axes, rows, number="{:.2f}".format)
    axes.axvline(1.0, color=GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    axes.set(title="Mean return, filtered / all histories", xlabel="ratio")
