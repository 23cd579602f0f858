"""The figure of paper 45: worst regret over episodes, and samples over symbols and tilt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, GREY, INK, MUTED, ORANGE, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.statistics import bootstrap_iqm
from envzoo.scripts.experiments.p45_revealing_pomdp.runs import EPISODES, SYMBOLS, TILTS, score_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = {
    "paid symbols, 8 digits": ("paid", ORANGE, 2 / 3, "slope 2/3"),
    "free symbols, 8 digits": ("free", BLUE, 1 / 2, "slope 1/2"),
    "paid symbols, 2 digits": ("paid, short code", GREY, None, ""),
}
SAMPLES = "samples to identify"


def draw(results: Results, figure: Figure) -> None:
    """Draw regret, and samples over N and over the tilt."""
    figure.set_size_inches(12, 4.4)
    title(figure, results, "Regret grows as T^(2/3) if symbols have a price, and as sqrt T if they are free")
    regret, symbols, tilts = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    draw_regret(regret, results)
    draw_samples(symbols, results, {n: f"N = {n}" for n in SYMBOLS}, 1 / 2, "slope 1/2")
    symbols.set(title="Samples per arm, tilt 0.3", xlabel="symbols N", ylabel="samples for 90%")
    draw_samples(tilts, results, {t: f"tilt {t:g}" for t in TILTS}, -2.0, "slope -2")
    tilts.set(title="Samples per arm, N = 64", xlabel="tilt, gap times signal")


def _points(results: Results, arm: str, scores: list[str]) -> np.ndarray:
    return np.array([bootstrap_iqm(results.scores(arm, score))[:3] for score in scores])


def draw_regret(axes: Axes, results: Results) -> None:
    """Draw the worst regret of the best way, with the lines of the theory."""
    for arm, (label, colour, power, words) in LINES.items():
        rows = _points(results, arm, [score_at("worst", t) for t in EPISODES])
        axes.errorbar(
            EPISODES,
            rows[:, 0],
            [rows[:, 0] - rows[:, 1], rows[:, 2] - rows[:, 0]],
            color=colour,
            marker="o",
            markersize=4,
        )
        text = f"{label} ({results.scores(arm, 'slope').mean():.2f})"
        axes.annotate(
            text,
            (EPISODES[-1], rows[-1, 0]),
            xytext=(6, -9 if label == "free" else 3),
            textcoords="offset points",
            va="center",
            color=colour,
        )
        if power is not None:
            x = np.array([EPISODES[0], EPISODES[-1]])
            y = 0.5 * rows[0, 0] * (x / x[0]) ** power
            axes.plot(x, y, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
            place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(words, (x[1], y[1]), color=MUTED, fontsize=7.5, **place)
    axes.set(xscale="log", yscale="log", xlabel="episodes T", ylabel="regret at the worst gap")
    axes.set_title("The best of tests, UCB and never exploring (mean slopes)")
    axes.set_xlim(6e4, 6e10)


def draw_samples(axes: Axes, results: Results, points: dict[float, str], power: float, words: str) -> None:
    """Draw samples over a quantity, and the slope of the theory through their middle."""
    x, rows = np.array(list(points), float), _points(results, SAMPLES, list(points.values()))
    error = [rows[:, 0] - rows[:, 1], rows[:, 2] - rows[:, 0]]
    axes.errorbar(x, rows[:, 0], error, color=INK, marker="o", markersize=4, linewidth=0, elinewidth=1.2)
    y = np.exp(np.log(rows[:, 0]).mean()) * (x / np.exp(np.log(x).mean())) ** power
    axes.plot(x, y, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    place = {"xytext": (-4, 4), "ha": "right"} if power > 0 else {"xytext": (6, 4)}
    axes.annotate(words, (x[2], y[2]), textcoords="offset points", color=MUTED, fontsize=7.5, **place)
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.minorticks_off()
