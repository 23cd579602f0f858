"""The figure of paper 33: the policies along the striped corridor, and their success."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envzoo.scripts.experiments.core.figures import BLUE, GREY, ORANGE, PALE, final_bars, title
from envzoo.scripts.experiments.core.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POLICIES = {"PRDC, striped": (BLUE, "PRDC"), "TD3+BC, striped": (ORANGE, "TD3+BC")}
BAND = 1.25


def draw(results: Results, figure: Figure) -> None:
    """Draw the actions on the left and success on the right."""
    figure.set_size_inches(11, 4.4)
    title(figure, results, "borrowing logged actions from other states crosses the stripes")
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    draw_policies(left, results)
    names = {
        "PRDC, striped": BLUE,
        "TD3+BC, striped": ORANGE,
        "TD3, striped": GREY,
    }
    labels = {name: name.partition(",")[0] for name in names}
    final_bars(right, results, names, "success", labels=labels, number="{:.2f}")
    right.set(title="Share of episodes that reach the goal", xlim=(0, 1))


def draw_policies(axes: Axes, results: Results) -> None:
    """Draw the mean action over the position, with the stretches in which only steps to the left are logged."""
    for number in range(1, 8, 2):
        axes.axvspan(number * BAND, (number + 1) * BAND, color=PALE, linewidth=0)
    for arm, (colour, label) in POLICIES.items():
        if arm not in results.arms:
            continue
        x, middle, low, high = results.curve(arm, "action")
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(x, middle, color=colour)
        at = int(0.19 * len(x))
        axes.annotate(
            label,
            (x[at], middle[at]),
            xytext=(0, 8 if colour == BLUE else -14),
            textcoords="offset points",
            color=colour,
            ha="center",
            fontweight="bold",
        )
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.axvline(9.5, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    axes.annotate("goal", (9.5, 1.0), xytext=(3, 4), textcoords="offset points", fontsize=8, color=GREY)
    axes.set(
        title="Actions (shaded: only steps to the left are logged)",
        xlabel="position",
        ylabel="action (1: right)",
        xlim=(0, 10),
        ylim=(-1.15, 1.25),
    )
