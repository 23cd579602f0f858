"""The figure of paper 44: regret over the number of episodes, with the lines of the theory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, GREEN, MUTED, ORANGE, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.statistics import bootstrap_iqm
from envzoo.scripts.experiments.p44_adversarial_mdp.runs import (
    BANDIT,
    BARRIER,
    EPISODES,
    LAYERED,
    PLAIN,
    REDUCED,
    regret_score,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {PLAIN: ORANGE, REDUCED: BLUE, BARRIER: GREEN}


def draw(results: Results, figure: Figure) -> None:
    """Draw a panel for the bandit and one for the linear MDP."""
    figure.set_size_inches(10.5, 4.6)
    title(figure, results, "Log-barrier and reduced estimates bring regret from K^2/3 to K^1/2")
    for axes, world in zip(figure.subplots(1, 2), (BANDIT, LAYERED), strict=True):
        draw_world(axes, results, world)


def draw_world(axes: Axes, results: Results, world: str) -> None:
    """Draw the regret of three algorithms, and two slopes for comparison."""
    for algorithm, colour in COLOURS.items():
        arm = f"{world}: {algorithm}"
        lengths = [k for k in EPISODES if results.has(arm, regret_score(k))]
        if not lengths:
            continue
        rows = np.array([bootstrap_iqm(results.scores(arm, regret_score(k)))[:3] for k in lengths])
        axes.errorbar(
            lengths,
            rows[:, 0],
            [rows[:, 0] - rows[:, 1], rows[:, 2] - rows[:, 0]],
            color=colour,
            marker="o",
            markersize=4,
        )
        axes.annotate(
            f"{algorithm} ({results.scores(arm, 'slope').mean():.2f})",
            (lengths[-1], rows[-1, 0]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            annotation_clip=False,
        )
        if algorithm == PLAIN:
            first = rows[0, 0]
    x = np.array([EPISODES[0], EPISODES[-1]], float)
    for power, label, dash in ((2 / 3, "slope 2/3", (4, 3)), (1 / 2, "slope 1/2", (1, 2))):
        y = 0.1 * first * (x / x[0]) ** power
        axes.plot(x, y, color=MUTED, linestyle=(0, dash), linewidth=1)
        axes.annotate(
            label,
            (x[1], y[1]),
            xytext=(6, 0),
            textcoords="offset points",
            color=MUTED,
            fontsize=7.5,
            va="center",
            annotation_clip=False,
        )
        first *= 0.8
    axes.set(xscale="log", yscale="log", xlabel="episodes K", ylabel="regret", title=f"{world} (mean slopes)")
    axes.set_xlim(400, 32_000 * 9)
