"""The figure of paper 37: best-of-N approaches the curve of tilts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.agents.preference.tilting import kl_reward_curve, tilt
from envzoo.scripts.experiments.core.figures import BLUE, GREEN, GREY, INK, MUTED, ORANGE, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p37_asymptotics.runs import CANDIDATES, DELTA, TEXT, P, R

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LAWS, LEARNED, MEASURED = "exact laws", "policy gradient", "best-of-N of a tiny model"


def draw(results: Results, figure: Figure) -> None:
    """Draw the trade-off of reward and KL divergence, the distance from the tilt, and a measured law."""
    figure.set_size_inches(13.5, 4.6)
    title(figure, results, "Best-of-N with N = exp(0.1 m) approaches the best policy of equal KL divergence")
    trade, distance, law = figure.subplots(1, 3)
    _draw_trade(trade, results)
    _draw_distance(distance, results)
    _draw_law(law, results)


def _value(results: Results, score: str) -> float:
    return float(results.scores(LAWS, score)[0])


def _draw_trade(axes: Axes, results: Results) -> None:
    divergence, reward = kl_reward_curve(P, R, np.linspace(0, 0.5, 100))
    axes.plot(divergence, reward, color=INK)
    axes.annotate("tilts", (divergence[60], reward[60]), xytext=(-6, 4), textcoords="offset points", ha="right")
    points = np.array([(_value(results, f"divergence_{m}"), _value(results, f"reward_{m}")) for m in CANDIDATES])
    axes.plot(*points.T, color=ORANGE, marker="o", markersize=4.5)
    for (x, y), m in zip(points, CANDIDATES, strict=True):
        if m in (5, 20, 40, 80, 640):
            axes.annotate(f"m = {m}", (x, y), xytext=(5, -9), textcoords="offset points", color=ORANGE, fontsize=8)
    best = tilt(P, R, DELTA)
    axes.scatter(results.scores(LEARNED, "divergence"), results.scores(LEARNED, "reward"), color=BLUE, zorder=4, s=40)
    axes.annotate(
        "policy gradient",
        (best.divergence, best.reward),
        xytext=(-8, 6),
        textcoords="offset points",
        ha="right",
        color=BLUE,
    )
    axes.set(
        title="Best-of-N stays below the tilts", xlabel="KL divergence per token (nats)", ylabel="reward per token"
    )
    axes.set_xlim(0, 0.12)


def _draw_distance(axes: Axes, results: Results) -> None:
    m = np.array(list(CANDIDATES))
    axes.plot(m, [_value(results, f"distance_{k}") for k in m], color=ORANGE, marker="o", markersize=4.5)
    axes.annotate("KL(best-of-N || tilt) / m", (5, _value(results, "distance_5")), xytext=(0, -42),
                  textcoords="offset points", color=ORANGE)  # fmt: skip
    axes.plot(m, [_value(results, f"excess_{k}") for k in m], color=GREEN, marker="s", markersize=4.5)
    axes.annotate("exponent of a tail\nless its rate", (20, _value(results, "excess_20")), xytext=(8, 8),
                  textcoords="offset points", color=GREEN)  # fmt: skip
    axes.set(
        title="Both gaps vanish with the length", xlabel="tokens m", xscale="log", yscale="log", ylabel="nats per token"
    )
    axes.set_xticks([5, 20, 80, 320], ["5", "20", "80", "320"])
    axes.minorticks_off()


def _draw_law(axes: Axes, results: Results) -> None:
    at = np.arange(TEXT["length"] + 1)
    shown = (("law", GREY, -0.2), ("measured", BLUE, 0.2))
    for line, (name, colour, offset) in enumerate(shown):
        values = np.array([results.scores(MEASURED, f"{name}_{k}").mean() for k in at])
        axes.bar(at + offset, values, width=0.38, color=colour, linewidth=0)
        axes.annotate(
            name, (0.04, 0.9 - 0.08 * line), xycoords="axes fraction", color=MUTED if colour == GREY else colour
        )
    axes.set_xticks(at)
    axes.set(title="Best-of-4 of a tiny language model", xlabel="reward (distinct letters)", ylabel="probability")
