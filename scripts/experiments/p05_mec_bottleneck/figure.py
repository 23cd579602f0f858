"""The figure of paper 05: accuracy and return over temperatures, other games, and codes of a small source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from envzoo.agents.planners.coupling import ebim, ebim_gap_fill, entropy, mutual_information
from envzoo.scripts.experiments.core.figures import BLUE, GREEN, GREY, INK, MUTED, ORANGE, PURPLE
from envzoo.scripts.experiments.core.intervals import interval
from envzoo.scripts.experiments.core.panels import Row, dots, entry_of, heading, label_ends, verdicts
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p05_mec_bottleneck.names import (
    ACCURACY,
    BLIND,
    CART,
    CART_CODES,
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

COLOURS = {"rate 1": INK, "EBIM 0.5": BLUE, "EBIM 0.25": GREEN, "quantiser 0.5": ORANGE, "quantiser 0.75": PURPLE}
SOURCE = np.array([1, 6, 15, 20, 15, 6, 1]) / 64  # binomial (6, 1/2)
POINTS = 241  # rates at which the codes of a small source are evaluated


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
    """Draw the panels of the arms that ran."""
    full = results.has(LONG, ACCURACY)
    heading(
        figure,
        results,
        "a policy can hide messages at no cost, and the code decides how many are told",
        9.6 if full else 6.4,
    )
    axes = figure.subplots(3 if full else 2, 2)
    _over_temperatures(axes[0, 0], results, tuple(COLOURS), ACCURACY)
    axes[0, 0].set(title="Accuracy of the guess, 64 messages", ylabel="accuracy")
    _over_temperatures(axes[0, 1], results, ("rate 1", "EBIM 0.5", "quantiser 0.5", BLIND), RETURN)
    axes[0, 1].set(title="Return of the policy", ylabel="discounted return")
    _returns(axes[1, 0], results)
    _draw_source(axes[1, 1])
    if full:
        _ratios(axes[2, 0], results)
        _other_games(axes[2, 1], results)


def _over_temperatures(axes: Axes, results: Results, codes: tuple[str, ...], score: str) -> None:
    ends = []
    for code in codes:
        colour = COLOURS.get(code, GREY)
        found = [interval(results.scores(arm_name(code, t), score)) for t in TEMPERATURES]
        middle = np.array([each.value for each in found])
        low, high = (np.array([getattr(each, end) for each in found]) for end in ("low", "high"))
        low, high = np.where(np.isfinite(low), low, middle), np.where(np.isfinite(high), high, middle)
        axes.fill_between(TEMPERATURES, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(TEMPERATURES, middle, color=colour, marker="o", markersize=4)
        ends.append((float(middle[-1]), code, colour))
    axes.set_xticks(TEMPERATURES)
    axes.set_xlabel("log temperature of the policy")
    axes.set_ylim(0, 1.03 if score == ACCURACY else 0.36)
    label_ends(axes, ends)


def _returns(axes: Axes, results: Results) -> None:
    entries = {part["sentence"]: part for part in entry_of(results, "The return at every rate")["components"]}
    verdicts(axes, [(f"rate {rate:g}", entries[f"rate {rate:g}"]) for rate in RATES], number="{:.4f}".format)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set(
        title="Return less that without a message", xlabel="difference; ticks are the bounds", xlim=(-0.007, 0.007)
    )


def _ratios(axes: Axes, results: Results) -> None:
    parts = entry_of(results, "EBIM guesses at least")["components"]
    labels = [part["sentence"].replace("log temperature ", "log ") for part in parts]
    verdicts(axes, list(zip(labels, parts, strict=True)))
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    axes.minorticks_off()
    axes.set(title="Accuracy of EBIM over the quantiser's", xlabel="ratio; a tick is the bound")


def _other_games(axes: Axes, results: Results) -> None:
    names = {
        SMALL: ("4x4 grid, MEME", BLUE),
        LEARNED_SMALL: ("4x4 grid, learned", ORANGE),
        LONG: ("2^40 messages, FIMEC", BLUE),
    }
    names |= {f"{CART}{code}": (f"pole, {code}", GREY if code == BLIND else BLUE) for code in CART_CODES}
    dots(axes, [Row(label, results.scores(arm, ACCURACY), colour) for arm, (label, colour) in names.items()])
    axes.set(title="Other games", xlabel="accuracy of the guess", xlim=(-0.02, 1.02))


def _draw_source(axes: Axes) -> None:
    """Plot information about a source over the rate, for EBIM and for deterministic codes."""
    maps = np.array(list(partitions(len(SOURCE))))
    values = np.array([float(entropy(np.bincount(labels, SOURCE))) for labels in maps])
    most = float(entropy(SOURCE))
    rates = np.linspace(0.0, 1.02 * most, POINTS)
    greedy = [float(entropy(np.bincount(ebim(SOURCE, rate), SOURCE))) for rate in rates]
    best = [values[values <= rate + 1e-12].max() for rate in rates]
    filled = [float(mutual_information(ebim_gap_fill(SOURCE, rate, maps))) for rate in rates]
    axes.plot(rates, rates.clip(max=most), color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), label="the rate itself")
    axes.plot(rates, filled, color=PURPLE, label="random codes (Theorem 3)")
    axes.step(rates, best, where="post", color=ORANGE, label=f"best of {len(maps)} deterministic codes")
    axes.step(rates, greedy, where="post", color=BLUE, linewidth=1.3, label="EBIM, greedy")
    axes.set(title="Codes of a binomial source, 7 symbols", xlabel="rate (bits)", ylabel="bits told", ylim=(0, 3.6))
    axes.legend(loc="upper left", fontsize=7.5)
