"""The figure of paper 05: return against accuracy, and codes of small sources against the optimal ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from envzoo.agents.planners.coupling import ebim, ebim_gap_fill, entropy, mutual_information
from envzoo.scripts.experiments.core.figures import BLUE, GREEN, GREY, INK, MUTED, ORANGE, PURPLE, final_bars, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p05_mec_bottleneck.names import (
    ACCURACY,
    BLIND,
    CART,
    CART_CODES,
    CODES,
    LEARNED_SMALL,
    LONG,
    RATES,
    RETURN,
    SMALL,
    TEMPERATURES,
    arm_name,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(RATES, (INK, BLUE, GREEN, ORANGE), strict=True))
SOURCES = {
    "three symbols, 0.7, 0.2, 0.1": np.array([0.7, 0.2, 0.1]),
    "seven symbols, binomial (6, 1/2)": np.array([1, 6, 15, 20, 15, 6, 1]) / 64,
}
POINTS = 241  # rates at which the codes of small sources are evaluated


def partitions(n: int) -> Iterator[list[int]]:
    """Yield all set partitions of n symbols, as codes numbered from 0 in order of appearance."""
    labels = [0] * n

    def extend(at: int, codes: int) -> Iterator[list[int]]:
        if at == n:
            yield labels.copy()
            return
        for code in range(codes + 1):
            labels[at] = code
            yield from extend(at + 1, max(codes, code + 1))

    return extend(1, 1)


def draw(results: Results, figure: Figure) -> None:
    """Draw return against accuracy, accuracy over temperatures, other games, and codes of two small sources."""
    others = results.has(LONG, ACCURACY)
    figure.set_size_inches(17 if others else 13, 8.2)
    title(figure, results, "Messages hidden in a policy's actions: the return stays, and the code decides what is told")
    (trade, accuracy, *games), (first, second, *poles) = figure.subplots(2, 3 if others else 2)
    _draw_trade(trade, results)
    _draw_accuracy(accuracy, results)
    for axes, (name, source) in zip((first, second), SOURCES.items(), strict=True):
        _draw_source(axes, name, source)
    if others:
        _draw_others(games[0], poles[0], results)


def _draw_others(games: Axes, poles: Axes, results: Results) -> None:
    pole = {f"{CART}{code}": GREY if code == BLIND else BLUE for code in CART_CODES}
    bars = {SMALL: BLUE, LEARNED_SMALL: ORANGE, LONG: BLUE, **pole}
    final_bars(games, results, bars, ACCURACY, number="{:.2f}")
    games.set(title="Other games", xlabel="accuracy of the guess", xlim=(0, 1))
    final_bars(poles, results, pole, RETURN)
    poles.set(title="A pole balanced by PPO", xlabel="discounted return")


def _line(results: Results, code: str, score: str) -> list[float]:
    return [results.iqm(arm_name(code, temperature), score) for temperature in TEMPERATURES]


def _draw_trade(axes: Axes, results: Results) -> None:
    for code, (encoder, rate) in CODES.items():
        if code == BLIND:
            continue
        quantised = encoder == "quantizer"
        axes.plot(
            _line(results, code, ACCURACY),
            _line(results, code, RETURN),
            color=COLOURS[rate],
            linestyle=(0, (2, 2)) if quantised else "-",
            marker="s" if quantised else "o",
            markersize=4.5,
            label=code,
        )
    for temperature, value in zip(TEMPERATURES, _line(results, BLIND, RETURN), strict=True):
        axes.axhline(value, color=MUTED, linewidth=0.7, zorder=0)
        if temperature == -7:  # nearly coincides with the line of -6
            words, below = "-7 and -6", False
        elif temperature == -6:
            continue
        else:
            words, below = str(temperature), temperature == -5
        axes.annotate(
            f"blind play, log temperature {words}",
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(-2, -2 if below else 2),
            textcoords="offset points",
            ha="right",
            va="top" if below else "bottom",
            fontsize=7,
            color=MUTED,
        )
    axes.set(title="Trade-off over temperatures, a line per code", xlabel="accuracy of the guess", ylabel="return")
    axes.set_xlim(-0.02, 1.04)
    axes.legend(loc="center", bbox_to_anchor=(0.52, 0.38))


def _draw_accuracy(axes: Axes, results: Results) -> None:
    for code, (encoder, rate) in CODES.items():
        if code == BLIND:
            continue
        quantised = encoder == "quantizer"
        estimates = [results.estimate(arm_name(code, temperature), ACCURACY) for temperature in TEMPERATURES]
        middle = [estimate.iqm for estimate in estimates]
        axes.fill_between(
            TEMPERATURES, [e.low for e in estimates], [e.high for e in estimates], color=COLOURS[rate], alpha=0.15, lw=0
        )
        axes.plot(
            TEMPERATURES,
            middle,
            color=COLOURS[rate],
            linestyle=(0, (2, 2)) if quantised else "-",
            marker="s" if quantised else "o",
            markersize=4.5,
        )
        if quantised:
            most = int(np.floor(2 ** (rate * 6) + 1e-9))
            blocks = int(np.ceil(64 / np.ceil(64 / most)))
            axes.annotate(
                f"{blocks} blocks",
                (-4, middle[-1]),
                xytext=(0, 5),
                textcoords="offset points",
                ha="right",
                fontsize=7,
                color=MUTED,
            )
    axes.set_xticks(TEMPERATURES)
    axes.set(title="Accuracy (colours as on the left)", xlabel="log temperature of the policy", ylabel="accuracy")


def _draw_source(axes: Axes, name: str, source: np.ndarray) -> None:
    """Plot information about the source over the rate, for EBIM and for deterministic codes."""
    maps = np.array(list(partitions(len(source))))
    values = np.array([float(entropy(np.bincount(labels, source))) for labels in maps])
    rates = np.linspace(0.0, 1.02 * float(entropy(source)), POINTS)
    greedy = [float(entropy(np.bincount(ebim(source, rate), source))) for rate in rates]
    best = [values[values <= rate + 1e-12].max() for rate in rates]
    filled = [float(mutual_information(ebim_gap_fill(source, rate, maps))) for rate in rates]
    axes.plot(rates, rates.clip(max=float(entropy(source))), color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot(rates, filled, color=PURPLE, label="gaps filled (Theorem 3)")
    axes.step(rates, best, where="post", color=ORANGE, label=f"best of all {len(maps)} deterministic codes")
    axes.step(rates, greedy, where="post", color=BLUE, linewidth=1.3, label="EBIM, greedy")
    axes.set(title=f"Codes of {name}", xlabel="rate (bits)", ylabel="information about the source (bits)")
    axes.legend(loc="upper left")
