"""The figure of paper 19: temperature and entropy from three initial values, scales of the rewards, and four goals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, GREEN, INK, MUTED, ORANGE, PALE, PURPLE, SKY
from envzoo.scripts.experiments.core.panels import Row, dots, heading, median_curves
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p19_sac.names import (
    BANDIT,
    BANDIT_TEMPERATURE,
    COLLAPSED,
    DIMENSIONS,
    ENTROPY,
    EXPLORING,
    FIXED,
    FOUR_GOALS,
    LEARNED,
    SCALES,
    TEMPERATURE,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(BANDIT, (SKY, BLUE, PURPLE), strict=True))


def draw(results: Results, figure: Figure) -> None:
    """Draw the panels of the arms that ran."""
    full = not results.data["quick"]
    heading(figure, results, "a learned temperature keeps the entropy at its target", 9.6 if full else 3.8)
    axes = figure.subplots(3 if full else 1, 2, squeeze=False)
    _initial(axes[0, 0], results, BANDIT, TEMPERATURE, {"exact": (BANDIT_TEMPERATURE, INK)})
    axes[0, 0].set(title="Bandit: temperature", ylabel="temperature")
    _initial(axes[0, 1], results, BANDIT, ENTROPY, {"target": (-1.0, INK)})
    axes[0, 1].set(title="Bandit: entropy", ylabel="nats")
    if full:
        _scales(axes[1, 0], axes[1, 1], results)
        _initial(axes[2, 0], results, FOUR_GOALS, ENTROPY, {"target": (-DIMENSIONS, INK)})
        axes[2, 0].set(title="Four goals: entropy", ylabel="nats")
        _goals(axes[2, 1], results)


def _initial(
    axes: Axes, results: Results, arms: dict[float, str], metric: str, references: dict[str, tuple[float, str]]
) -> None:
    if metric == TEMPERATURE:
        axes.set_yscale("log")
    colours = {arm: COLOURS[value] for value, arm in arms.items()}
    labels = {arm: f"from {value:g}" for value, arm in arms.items()}
    median_curves(axes, results, colours, metric, labels, references=references)


def _scales(temperatures: Axes, entropies: Axes, results: Results) -> None:
    rows = [Row(f"x {s:g}", results.scores(LEARNED[s], TEMPERATURE), BLUE, "ratio") for s in SCALES]
    dots(temperatures, rows)
    exact = [BANDIT_TEMPERATURE * scale for scale in SCALES]
    temperatures.plot(exact, range(len(SCALES)), "|", color=INK, markersize=13, markeredgewidth=1.6)
    temperatures.set(
        title="Bandit, rewards scaled: temperature", xscale="log", xlabel="learned temperature; a tick is the exact one"
    )
    rows = [
        Row(f"{words}, x {scale:g}", results.scores(arms[scale], ENTROPY), colour)
        for words, arms, colour in (("learned", LEARNED, BLUE), ("fixed", FIXED, ORANGE))
        for scale in SCALES
    ]
    dots(entropies, rows)
    entropies.axvline(-1.0, color=INK, linestyle=(0, (4, 3)), linewidth=1.0)
    entropies.set(title="Bandit, rewards scaled: entropy", xlabel="nats (target -1)")


def _goals(axes: Axes, results: Results) -> None:
    """Draw the median fractions of the four goals, sorted in each run, as a stacked bar for each temperature."""
    arms = {"0.0001": COLLAPSED, "learned": FOUR_GOALS[1.0], "10/3": EXPLORING}
    for at, arm in enumerate(arms.values()):
        shares = np.stack([results.scores(arm, f"sampled/goal {goal}") for goal in range(4)], axis=1)
        left = 0.0
        axes.barh(at, 1.0, 0.6, color=PALE)
        for colour, share in zip(
            (BLUE, ORANGE, GREEN, PURPLE), np.sort(shares, axis=1)[:, ::-1].mean(axis=0), strict=True
        ):
            axes.barh(at, share, 0.6, left=left, color=colour, linewidth=0)
            left += share
    axes.set_yticks(range(len(arms)), list(arms))
    axes.grid(visible=False)
    axes.annotate("none", (0.99, 0), ha="right", va="center", fontsize=8, color=MUTED)
    axes.set(
        title="Four goals: shares of the rollouts",
        xlabel="share of each goal, sorted in each run (mean)",
        ylabel="temperature",
        xlim=(0, 1),
    )
