"""The figure of paper 36: errors over episodes, and samples over the size of the class and the number of leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, INK, MUTED, ORANGE, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.statistics import bootstrap_iqm
from envzoo.scripts.experiments.p36_agnostic_rl.runs import CLASS, CLASSES, DEPTH, DEPTHS, EPISODES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(results: Results, figure: Figure) -> None:
    """Draw errors over n, and samples over C and over 2^H."""
    figure.set_size_inches(12, 4.4)
    title(figure, results, "Episodes grow with the spanning capacity of the class, not with the sequences of actions")
    errors, classes, leaves = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    _draw_errors(errors, results)
    _draw_classes(classes, results)
    _draw_leaves(leaves, results)


def _line(axes: Axes, results: Results, arm: str, x: np.ndarray, scores: list[str], colour: str, label: str) -> None:
    present = [(at, score) for at, score in zip(x, scores, strict=True) if results.has(arm, score)]
    if not present:
        return
    x = np.array([at for at, _ in present])
    rows = np.array([bootstrap_iqm(results.scores(arm, score))[:3] for _, score in present])
    error = [rows[:, 0] - rows[:, 1], rows[:, 2] - rows[:, 0]]
    axes.errorbar(x, rows[:, 0], error, color=colour, marker="o", markersize=4)
    # Above the line, on the side from which it comes.
    falls = rows[-1, 0] < 0.9 * rows[0, 0]
    place = {"xytext": (6, 10), "ha": "left"} if falls else {"xytext": (-4, 9), "ha": "right"}
    at = 0 if falls else -1
    axes.annotate(label, (x[at], rows[at, 0]), textcoords="offset points", color=colour, **place)


def _theory(axes: Axes, x: np.ndarray, start: float, power: float, words: str) -> None:
    y = start * (x / x[0]) ** power
    axes.plot(x, y, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    # On the side of the line from which it does not come.
    shift = (-8, 4) if power > 0 else (-8, -14)
    axes.annotate(words, (x[-1], y[-1]), xytext=shift, textcoords="offset points", ha="right", color=MUTED, fontsize=8)


def _draw_errors(axes: Axes, results: Results) -> None:
    arm, x = "estimates of 501 policies", np.array(EPISODES, float)
    _line(axes, results, arm, x, [f"uniform, n = {n}" for n in EPISODES], ORANGE, "uniform actions")
    _line(axes, results, arm, x, [f"core, n = {n}" for n in EPISODES], BLUE, "core policies")
    _theory(axes, x, 0.05, -0.5, "slope -1/2")
    axes.set(xscale="log", yscale="log", xlabel="episodes n", ylabel="largest error of a value")
    axes.set_title("SingletonRich: all 501 policies at once")
    axes.margins(y=0.12)


def _draw_classes(axes: Axes, results: Results) -> None:
    x = np.array(CLASSES, float)
    _line(axes, results, "trees of coins", x, [f"class of {n}" for n in CLASSES], BLUE, "class")
    _theory(axes, x, 200.0, 1.0, "slope 1")
    axes.set(xscale="log", yscale="log", xlabel="policies in the class", ylabel="episodes for 90%")
    axes.set_title(f"AgnosticTree, H = {DEPTH}")
    axes.margins(y=0.12)
    axes.set_xticks(x, [f"{n}" for n in CLASSES])
    axes.minorticks_off()


def _draw_leaves(axes: Axes, results: Results) -> None:
    arm, x = "trees of coins", np.array([2.0**h for h in DEPTHS])
    _line(axes, results, arm, x, [f"leaves, H = {h}" for h in DEPTHS], ORANGE, "all leaves")
    _line(axes, results, arm, x, [f"class, H = {h}" for h in DEPTHS], INK, f"{CLASS} policies")
    _theory(axes, x, 2_500.0, 1.0, "slope 1")
    axes.set(xscale="log", yscale="log", xlabel="leaves, 2^H", ylabel="episodes for 90%")
    axes.set_title("AgnosticTree, depth grows")
    axes.margins(y=0.12)
    axes.set_xticks(x, [f"{int(n)}" for n in x])
    axes.minorticks_off()
