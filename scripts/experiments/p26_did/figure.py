"""The figure of paper 26: where losses stop, and how entropies and likelihoods change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, GREY, INK, ORANGE, final_bars, level, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p26_did.names import LOSSES, SAMPLERS, TARGETS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(TARGETS.values(), (BLUE, ORANGE), strict=True))


def draw(results: Results, figure: Figure) -> None:
    """Draw distances by loss, DPO by sampler, and changes of entropy and likelihood."""
    figure.set_size_inches(14.5, 4.6)
    title(figure, results, "With the right rejected responses DPO, and no other loss, finds the target")
    losses, samplers, changes = figure.subplots(1, 3)
    final_bars(losses, results, {name: BLUE if name == "DPO" else GREY for name in LOSSES}, "optimal", number="{:.2g}")
    losses.set(
        title="Optimal rejected responses: distance of the optimum", xlabel="JS from the target (nats)", xlim=(0, None)
    )
    values = np.array([results.scores("DPO", sampler).mean() for sampler in SAMPLERS])
    samplers.bar(range(len(SAMPLERS)), values, color=[BLUE, GREY, GREY, GREY], width=0.6)
    for k, value in enumerate(values):
        samplers.annotate(f"{value:.2g}", (k, value), xytext=(0, 3), textcoords="offset points", ha="center")
    samplers.set_xticks(range(len(SAMPLERS)), SAMPLERS)
    samplers.set(title="DPO: by the sampler of rejected responses", ylabel="JS from the target (nats)")
    _draw_changes(changes, results)


def _draw_changes(axes: Axes, results: Results) -> None:
    scores = {"entropy_change": "entropy", "chosen_change": "log pi(chosen)", "rejected_change": "log pi(rejected)"}
    for offset, (name, colour) in enumerate(COLOURS.items()):
        for k, score in enumerate(scores):
            value, low, high = results.estimate(name, score)
            at = k + 0.38 * offset - 0.19
            axes.bar(at, value, width=0.36, color=colour, linewidth=0)
            axes.plot([at, at], [low, high], color=INK, linewidth=1.2)
        axes.annotate(name, (0.98, 0.95 - 0.07 * offset), xycoords="axes fraction", ha="right", color=colour)
    level(axes, 0.0, "")
    axes.set_xticks(range(len(scores)), list(scores.values()))
    axes.set(title="Sequences: change by DPO", ylabel="nats")
