"""The figure of paper 28: returns on the bandit, what is claimed and earned, and the worlds with decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envzoo.scripts.experiments.core.figures import BLUE, GREY, ORANGE, RED
from envzoo.scripts.experiments.core.panels import Row, dots, heading
from envzoo.scripts.experiments.core.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "imitation given the return": ORANGE,
    "DoC": BLUE,
    "DoC, released sign": RED,
    "latent without constraint": GREY,
}
WORLDS = {
    "tree": "tree",
    "lake, slip .6": "lake, slip .6",
    "lake, slip 0": "lake, slip 0",
}


def draw(results: Results, figure: Figure) -> None:
    """Draw the bandit on the left and the worlds with decisions on the right."""
    heading(figure, results, "a latent that must not tell about luck earns what it claims", 5.0)
    left, right = figure.subplots(1, 2)
    draw_bandit(left, results)
    draw_worlds(right, results)


def _has(results: Results, arm: str) -> bool:
    return arm in results.arms


def draw_bandit(axes: Axes, results: Results) -> None:
    """Draw earned returns (dots) and claimed ones (crosses) on the bandit."""
    rows, claims = [], []
    for name, colour in COLOURS.items():
        arm = f"bandit, p = .1: {name}"
        if _has(results, arm):
            rows.append(
                Row(
                    name.replace(" given", "\ngiven").replace(" without", "\nwithout"),
                    results.scores(arm, "return"),
                    colour,
                )
            )
            claims.append(float(results.scores(arm, "claimed").mean()))
    dots(axes, rows, number="{:.2f}".format)
    for at, claim in enumerate(claims):
        axes.plot([claim], [at], "x", color=rows[at].colour, markersize=8, markeredgewidth=1.8)
    axes.axvline(0.9, color=GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    axes.annotate("optimum", (0.9, -0.45), ha="right", xytext=(-3, 0), textcoords="offset points", fontsize=8)
    axes.set(title="Bandit, p = .1: earned (dot), claimed (x)", xlabel="return", xlim=(0, 1.05))


def draw_worlds(axes: Axes, results: Results) -> None:
    """Draw the share of the optimum in the worlds with decisions, a row for each method."""
    rows = []
    for group, label in WORLDS.items():
        for name in ("imitation given the return", "DoC"):
            arm = f"{group}: {name}"
            if _has(results, arm):
                short = "DoC" if name == "DoC" else "imitation"
                rows.append(Row(f"{label}: {short}", results.scores(arm, "share of optimal"), COLOURS[name]))
    dots(axes, rows, number="{:.2f}".format)
    axes.set(title="Decisions beside luck", xlabel="share of the optimal return", xlim=(0, 1.05))
