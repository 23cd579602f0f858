"""The figure of paper 20: exploitability on logits, and where paths end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, GREEN, INK, ORANGE, final_bars, level, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p20_spo.names import ENTROPIES, LEARNERS, MODEL, SPO, bandit, point, soft

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {SPO: BLUE, MODEL: ORANGE}


def draw(results: Results, figure: Figure) -> None:
    """Draw the gaps of mean policies, the shares of the sectors, and feasible shares."""
    figure.set_size_inches(13.5, 4.4)
    title(figure, results, "Self-play finds mixtures that no reward model expresses")
    logits, shares, feasible = figure.subplots(1, 3)
    _draw_gaps(logits, results)
    _draw_shares(shares, results)
    arms = {point(name, "nonmarkov"): COLOURS[name] for name in LEARNERS}
    final_bars(feasible, results, arms, "last_feasible", labels={point(name, "nonmarkov"): name for name in LEARNERS},
               number="{:.2f}")  # fmt: skip
    feasible.set(title="A rule about the course: kept by", xlabel="share of the paths", xlim=(0, 1))


def _draw_gaps(axes: Axes, results: Results) -> None:
    for offset, name in enumerate(LEARNERS):
        for k, entropy in enumerate(ENTROPIES):
            for shift, score, hatch in ((-0.0, "gap_mean", None), (0.2, "gap_last", "////")):
                value, low, high = results.estimate(bandit(name, entropy), score)
                at = k + 0.42 * offset + shift - 0.3
                axes.bar(at, value, width=0.18, color=COLOURS[name] if hatch is None else "white",
                         edgecolor=COLOURS[name], hatch=hatch)  # fmt: skip
                axes.plot([at, at], [low, high], color=INK, linewidth=1.2)
        axes.annotate(name, (0.04, 0.92 - 0.08 * offset), xycoords="axes fraction", color=COLOURS[name])
    axes.set_xticks(range(len(ENTROPIES)), list(ENTROPIES))
    axes.set(
        title="Three logits: exploitability",
        ylabel="win probability above 1/2",
        xlabel="filled: mean policy; hatched: last",
    )


def _draw_shares(axes: Axes, results: Results) -> None:
    bars = {point(SPO, "cyclic"): ("SPO on PPO", BLUE), soft("cyclic"): ("SPO on SAC", GREEN),
            point(MODEL, "cyclic"): (MODEL, ORANGE)}  # fmt: skip
    bars = {arm: look for arm, look in bars.items() if arm in results.arms}
    width = 0.84 / len(bars)
    for offset, (arm, (name, colour)) in enumerate(bars.items()):
        shares = np.sort(np.stack([results.scores(arm, f"sector_{k}") for k in range(3)], axis=1), axis=1)[:, ::-1]
        at = np.arange(3) + width * (offset - (len(bars) - 1) / 2)
        axes.bar(at, shares.mean(0), width=0.93 * width, color=colour, linewidth=0)
        axes.scatter(np.repeat(at[None], len(shares), 0), shares, s=9, color="white", edgecolors=INK, linewidths=0.6,
                     zorder=3)  # fmt: skip
        axes.annotate(name, (at[0], 0.02), xytext=(0, 2), textcoords="offset points", ha="center", color="white",
                      fontsize=8, rotation=90, va="bottom")  # fmt: skip
    level(axes, 1 / 3, "minimax winner")
    axes.set_xticks(range(3), ["most frequent", "second", "rarest"])
    axes.set(title="Cyclic paths: share of each sector", ylabel="share of the paths", ylim=(0, 1.05))
