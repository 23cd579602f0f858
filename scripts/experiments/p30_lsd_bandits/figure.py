"""The figure of paper 30: fractions of the relaxation by family, the bait comparison, and recharging bandits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, level, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p30_lsd_bandits import learning as learning
from envzoo.scripts.experiments.p30_lsd_bandits.names import (
    BAIT,
    FAMILIES,
    GUARANTEE,
    INTERLEAVED,
    METHODS,
    RECHARGE,
    arm_name,
    ratios,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(METHODS, (ORANGE, BLUE, SKY, PURPLE), strict=True)) | {INTERLEAVED: GREEN}


def draw(results: Results, figure: Figure) -> None:
    """Draw the distributions of all families above, and bait and recharging instances below."""
    figure.set_size_inches(14, 8.4)
    title(figure, results, "Mirrored rounding keeps 1 - 1/e of the relaxation; greed is better where nothing lures it")
    grid = figure.add_gridspec(2, 3, height_ratios=(1.25, 1))
    draw_families(figure.add_subplot(grid[0, :]), results)
    draw_bait(figure.add_subplot(grid[1, 0]), results)
    draw_recharging(figure.add_subplot(grid[1, 1]), results)
    axes = figure.add_subplot(grid[1, 2])
    learning.draw_regret(axes, results)
    axes.set_title("Learning: regret")
    # Logarithmic axes cannot show a learner with negative regret.
    below = [name for name in learning.LEARNERS if min(map(np.mean, learning.regrets(results, name).values())) <= 0]
    if below:
        text = f"not shown, regret below 0: {', '.join(below)}"
        axes.annotate(text, (0.98, 0.03), xycoords="axes fraction", ha="right", fontsize=7.5, color=MUTED)


def draw_families(axes: Axes, results: Results) -> None:
    """Draw a point for each instance and a bar for the mean, by family and method."""
    families = [family for family in FAMILIES if arm_name("mirrored LP", family) in results.arms]
    width = 0.8 / len(METHODS)
    for column, (method, colour) in enumerate((m, COLOURS[m]) for m in METHODS):
        for at, family in enumerate(families):
            values = ratios(results, method, family).mean(axis=0)
            x = at + (column - (len(METHODS) - 1) / 2) * width
            spread = (np.arange(len(values)) - (len(values) - 1) / 2) * width * 0.08
            label = method if at == 0 else None
            axes.scatter(x + spread, values, s=14, color=colour, linewidths=0, alpha=0.85, label=label)
            axes.plot([x - width * 0.4, x + width * 0.4], [values.mean()] * 2, color=INK, linewidth=1.4)
    level(axes, GUARANTEE, "1 - 1/e", below=True)
    axes.axhline(1.0, color=INK, linewidth=0.8)
    axes.set_xticks(range(len(families)), families)
    axes.grid(axis="x", visible=False)
    axes.set(title="Share of the relaxation: a point for each instance, lines are means", ylabel="reward / relaxation")
    axes.legend(loc="lower center", ncols=len(METHODS))
    axes.set_ylim(min(0.45, axes.get_ylim()[0]), 1.03)


def draw_bait(axes: Axes, results: Results) -> None:
    """Draw the methods on every bait instance, connected to the ratio of oracle greedy."""
    greedy = ratios(results, "oracle greedy", BAIT).mean(axis=0)
    order = np.argsort(greedy)
    for method in METHODS:
        values = ratios(results, method, BAIT).mean(axis=0)[order]
        axes.plot(range(len(values)), values, color=COLOURS[method], marker="o", markersize=5, label=method)
    axes.plot(
        range(len(greedy)), 1.15 * greedy[order], color=COLOURS["oracle greedy"], linestyle=(0, (4, 3)), linewidth=1
    )
    axes.annotate(
        "greedy + 15%",
        (len(greedy) // 2, 1.15 * np.sort(greedy)[len(greedy) // 2]),
        xytext=(2, -9),
        ha="left",
        textcoords="offset points",
        fontsize=7.5,
        color=COLOURS["oracle greedy"],
    )
    level(axes, GUARANTEE, "1 - 1/e", left=True)
    axes.set_xticks(range(len(greedy)), [str(i) for i in order])
    axes.set(
        title=f"Bait ({BAIT.split(', ')[1]})", xlabel="instance, by what greed earns", ylabel="reward / relaxation"
    )


def draw_recharging(axes: Axes, results: Results) -> None:
    """Draw both planners with a guarantee on recharging instances, with three standard errors."""
    for column, method in enumerate(("mirrored LP", INTERLEAVED)):
        arm = arm_name(method, RECHARGE)
        values = ratios(results, method, RECHARGE).mean(axis=0)
        errors = np.stack([results.scores(arm, f"{i}/ratio_se") for i in range(len(values))], axis=1)
        pooled = np.sqrt((errors**2).sum(axis=0)) / len(errors)
        at = np.arange(len(values)) + 0.16 * (column - 0.5)
        axes.errorbar(
            at,
            values,
            3 * pooled,
            color=COLOURS[method],
            marker="o",
            markersize=5,
            linestyle="none",
            elinewidth=1.2,
            label=method,
        )
    level(axes, GUARANTEE, "1 - 1/e")
    axes.set_xticks(range(len(values)))
    axes.legend(loc="upper right")
    axes.margins(y=0.25)
    axes.set(title="Recharging bandits: both planners (3 s.e.)", xlabel="instance", ylabel="reward / relaxation")
