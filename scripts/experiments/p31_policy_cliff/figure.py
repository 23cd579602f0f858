"""The figure of paper 31: the jump of the hard policy and the linear moves of soft ones, and trained agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, GREEN, MUTED, ORANGE, PURPLE, level, title
from envzoo.scripts.experiments.core.panels import label_ends
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p31_policy_cliff.runs import ALPHAS, EPS, name_score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID, WORLDS, MIXTURE = "all routes tie", "random worlds", "mixture of rewards"
TRAINED = {"PPO without entropy": ORANGE, "PPO with entropy 0.1": BLUE}
COLOURS = dict(zip(ALPHAS, (ORANGE, PURPLE, BLUE, GREEN), strict=True))


def draw(results: Results, figure: Figure) -> None:
    """Draw the grid, the random worlds, and the trained agents."""
    figure.set_size_inches(12, 4.4)
    title(
        figure, results, "An optimal policy jumps at ties however small the change; entropy makes it move in proportion"
    )
    grid, worlds, trained = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    draw_grid(grid, results)
    draw_worlds(worlds, results)
    draw_trained(trained, results)


def draw_grid(axes: Axes, results: Results) -> None:
    """Draw TV over eps, a line for each temperature."""
    ends = []
    for alpha in ALPHAS:
        tv = [float(results.scores(GRID, name_score("TV", eps, alpha))[0]) for eps in EPS]
        axes.loglog(EPS, tv, color=COLOURS[alpha], marker="o", markersize=4)
        ends.append((tv[0], "no entropy" if alpha == 0 else f"alpha = {alpha:g}", COLOURS[alpha]))
    bound = [eps / (2 * 1.0 * 0.05) for eps in EPS]
    axes.loglog(EPS, bound, color=MUTED, linestyle=(0, (2, 3)), linewidth=1)
    label_ends(axes, [*ends, (bound[0], "bound, alpha = 1", MUTED)])
    axes.set(title="CliffGrid: largest distance over states", xlabel="size eps of the perturbations", ylabel="TV")


def draw_worlds(axes: Axes, results: Results) -> None:
    """Draw the distribution of TV over bound in the random worlds."""
    ratios = np.sort(results.scores(WORLDS, "soft ratio"))
    axes.plot(ratios, np.arange(1, len(ratios) + 1) / len(ratios), color=BLUE)
    level(axes, 1.0, "bound", vertical=True)
    axes.set_xlim(0, 1.1)
    axes.set(title="Random worlds", xlabel="TV of soft policies / bound, alpha = 0.1", ylabel="share of worlds below")


def draw_trained(axes: Axes, results: Results) -> None:
    """Draw the distances of the traces of trained pairs, a point for each seed."""
    for row, (arm, colour) in enumerate(TRAINED.items()):
        values = results.scores(arm, "trace TV")
        spread = (np.arange(len(values)) % 5 - 2) * 0.05
        axes.scatter(values, row + spread, s=18, color=colour, alpha=0.8, linewidths=0)
        axes.plot([values.mean()] * 2, [row - 0.25, row + 0.25], color=colour, linewidth=2.5)
    axes.set_yticks(range(len(TRAINED)), ["no entropy", "entropy 0.1"])
    axes.set_ylim(-0.6, len(TRAINED) - 0.4)
    axes.set_xlim(-0.03, 1.03)
    axes.grid(axis="y", visible=False)
    axes.set(title="PPO, eps = +0.01 against -0.01", xlabel="TV of the traces (bars: means)")
