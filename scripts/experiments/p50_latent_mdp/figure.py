"""The figure of paper 50: regret over episodes and contexts, over variance, and over waiting steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, GREEN, MUTED, ORANGE, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.statistics import bootstrap_iqm
from envzoo.scripts.experiments.p50_latent_mdp.runs import EPISODES, MARKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(results: Results, figure: Figure) -> None:
    """Draw the three dependences."""
    figure.set_size_inches(12, 4.4)
    title(figure, results, "Regret in latent MDPs: sqrt(M K), small where variance is small, and blind to waiting")
    rate, variance, padding = figure.subplots(1, 3)
    lines = {"1 context": BLUE, "4 contexts": ORANGE}
    for arm, colour in lines.items():
        draw_line(rate, results, arm, EPISODES, colour, arm)
    draw_theory(rate, EPISODES, 25.0)
    rate.set(title="Hardest gap for each K", xlabel="episodes K", ylabel="regret", xscale="log", yscale="log")
    rate.set_xlim(1_700, 150_000)
    names = {"Hoeffding": ("low variance, Hoeffding bonus", ORANGE), "variance": ("low variance, variance bonus", BLUE)}
    names["variance,\nnothing random"] = ("no variance, variance bonus", GREEN)
    for label, (arm, colour) in names.items():
        draw_line(variance, results, arm, MARKS, colour, label)
    draw_theory(variance, MARKS, 50.0)
    variance.set(title="Wins of 2% or 12%, 2 contexts", xlabel="episodes K", xscale="log", yscale="log")
    variance.set_xlim(1_100, 120_000)
    draw_padding(padding, results)


def draw_theory(axes: Axes, marks: tuple[int, ...], start: float) -> None:
    """Draw the square root of the theory, from a height where it meets no line."""
    x = np.array([marks[0], marks[-1]], float)
    y = start * np.sqrt(x / x[0])
    axes.plot(x, y, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    at = (x[1], y[1])
    axes.annotate("slope 1/2", at, xytext=(6, 0), textcoords="offset points", color=MUTED, fontsize=7.5, va="center")


def draw_line(axes: Axes, results: Results, arm: str, marks: tuple[int, ...], colour: str, label: str) -> None:
    """Draw the regret of an arm over episodes, with its name at the end."""
    rows = np.array([bootstrap_iqm(results.scores(arm, f"K = {k}"))[:3] for k in marks])
    error = [rows[:, 0] - rows[:, 1], rows[:, 2] - rows[:, 0]]
    axes.errorbar(marks, rows[:, 0], error, color=colour, marker="o", markersize=4)
    at = (marks[-1], rows[-1, 0])
    axes.annotate(
        label, at, xytext=(6, 0), textcoords="offset points", va="center", color=colour, annotation_clip=False
    )


def draw_padding(axes: Axes, results: Results) -> None:
    """Draw the regret with and without waiting steps, a point for each seed."""
    for name, colour, shift in (("variance bonus", BLUE, -0.12), ("Hoeffding bonus", ORANGE, 0.12)):
        values = [results.scores(f"lock, {name}, pad {pad}", "regret") for pad in (0, 10)]
        for at, column in enumerate(values):
            spread = (np.arange(len(column)) % 5 - 2) * 0.02
            axes.scatter(at + shift + spread, column, s=12, color=colour, alpha=0.6, linewidths=0)
        means = [column.mean() for column in values]
        axes.plot([shift, 1 + shift], means, color=colour, marker="_", markersize=14)
        between = 0.5, sum(means) / 2  # where no points are
        axes.annotate(name, between, xytext=(0, 6), textcoords="offset points", color=colour, ha="center")
    axes.set_xticks([0, 1], ["no waiting", "10 waiting steps"])
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylim(0, None)
    axes.set(title="Lock of 9 arms, K = 1000", ylabel="regret")
