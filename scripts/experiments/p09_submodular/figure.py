"""The figure of paper 09: the grid with two starts, then learning curves and results in the other environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import (
    BLUE,
    GREEN,
    GREY,
    MUTED,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    final_bars,
    learning_curves,
    level,
    title,
)
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p09_submodular import worlds as worlds
from envzoo.scripts.experiments.p09_submodular.worlds import COVERAGE, CURVE, INFORMATION, ROOMS, SHARE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "random": GREY,
    "greedy planner": PURPLE,
    "ModPO": ORANGE,
    "SubPO": BLUE,
    "SubPO, cumulative credit": SKY,
    "SubPO, GRU": GREEN,
    "ModPO, table": RED,
    "SubPO, table": SKY,
    "SubPO, network": BLUE,
}
GRID = ("random", "greedy planner", "ModPO", "SubPO", "SubPO, cumulative credit", "SubPO, GRU")
MARKS = ("random", "greedy planner")  # have no learning curve and are drawn as horizontal lines

# Group -> title of the panel, label of its y-axis, and of the bars below it.
PANELS = {
    "items": ("Items", "items that count", "items that count (of 21)"),
    "rooms": ("Two rooms", "cells covered", "share of episodes covering both rooms (mean)"),
    "design": ("Experiment design", "F of a path", "information, nats"),
    "plane": ("Plane", "area covered", "area covered (of 100)"),
    "3x3": ("3x3 grids, 4 moves", "", "share of the best plan"),
}


def draw(results: Results, figure: Figure, bounds: dict[str, int]) -> None:
    """Draw all panels of the arms that ran.

    Args:
        results: Results of the experiment.
        figure: An empty figure.
        bounds: Start on the grid -> upper bound on the coverage of a path.
    """
    figure.set_size_inches(16, 11)
    title(figure, results, "Rewarding marginal gains makes a policy cover ground")
    grid, learning, outcome = figure.subfigures(3, 1, height_ratios=(1, 0.95, 0.9))
    _draw_grid(grid.subplots(1, 4, width_ratios=(1.25, 1, 1.25, 1)), results, bounds)
    groups = [group for group in PANELS if results.group(group)]
    curves = [group for group in groups if group != "3x3"]
    for axes, group in zip(learning.subplots(1, len(curves), squeeze=False)[0], curves, strict=True):
        _draw_curves(axes, results, group)
    for axes, group in zip(outcome.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
        _draw_outcome(axes, results, group)


def _named(results: Results, group: str) -> dict[str, str]:
    """Map the arms of a group that ran to their labels."""
    return {arm: arm.removesuffix(f" ({group})") for arm in results.group(group)}


def _draw_grid(axes: np.ndarray, results: Results, bounds: dict[str, int]) -> None:
    for (left, right), (start, bound) in zip(axes.reshape(2, 2), bounds.items(), strict=True):
        labels = {f"{label} ({start})": label for label in GRID}
        colours = {arm: COLOURS[label] for arm, label in labels.items()}
        learning_curves(left, results, colours, CURVE, labels=labels)
        for reference, high in (("random", False), ("greedy planner", True)):  # labels clear of the curves
            value = results.iqm(f"{reference} ({start})", COVERAGE)
            level(left, value, reference, colour=COLOURS[reference], below=high, left=high)
        level(left, bound, f"upper bound {bound}", left=True)
        left.set(title=f"Grid, start in the {start}", ylabel="cells covered by a path", ylim=(0, 76))
        final_bars(right, results, colours, COVERAGE, labels=labels)
        level(right, bound, f"bound {bound}", vertical=True)
        right.set(xlim=(0, 76), xlabel="cells covered after learning")
    axes[0].legend(loc="lower right", ncols=2)


def _draw_curves(axes: Axes, results: Results, group: str) -> None:
    labels = _named(results, group)
    colours = {arm: COLOURS[label] for arm, label in labels.items()}
    learning_curves(axes, results, colours, CURVE, labels=labels)
    for arm, label in labels.items():
        if label in MARKS:
            high = label == "greedy planner"
            below = high or group == "items"
            level(axes, results.iqm(arm, COVERAGE), label, colour=COLOURS[label], below=below, left=high)
    head, unit, _ = PANELS[group]
    axes.set(title=f"{head}: learning", ylabel=unit)
    if group == "items":
        level(axes, worlds.MOST_ITEMS, f"all {worlds.MOST_ITEMS}", left=True)
    if group == "rooms":
        level(axes, worlds.BOTH_ROOMS, "half of each room", left=True)
    low, high = axes.get_ylim()
    # The constant in F of experiment design makes all values far larger than zero.
    axes.set_ylim(low if group == "design" else 0, high * 1.05)
    axes.legend(loc="center right" if group == "design" else "lower right", ncols=2)


def _draw_outcome(axes: Axes, results: Results, group: str) -> None:
    labels = _named(results, group)
    head, _, unit = PANELS[group]
    if group == "rooms":
        _draw_rooms(axes, results, labels)
    elif group == "3x3":
        labels = {arm: label.removeprefix("SubPO, ") for arm, label in labels.items()}
        final_bars(axes, results, dict.fromkeys(labels, BLUE), SHARE, labels=labels, number="{:.3f}")
        level(axes, 0.95, "0.95", vertical=True)
        axes.set(xlim=(0, 1.04))
    else:
        score = INFORMATION if group == "design" else COVERAGE
        colours = {arm: COLOURS[label] for arm, label in labels.items()}
        final_bars(axes, results, colours, score, labels=labels)
    if group == "items":
        level(axes, 15, "15", vertical=True)
    axes.set_title(head, pad=14)
    axes.set_xlabel(unit)


def _draw_rooms(axes: Axes, results: Results, labels: dict[str, str]) -> None:
    """Draw both starts side by side: filled bars for the corridor, pale bars for random starts, a dot per seed."""
    shown = [label for label in ("SubPO, table", "SubPO, network", "SubPO, GRU") if label in labels.values()]
    for row, label in enumerate(shown):
        for offset, group, alpha in ((-0.2, "rooms", 1.0), (0.2, "rooms, random start", 0.4)):
            arm = f"{label} ({group})"
            scores = results.scores(arm, ROOMS)
            axes.barh(row + offset, scores.mean(), height=0.36, color=COLOURS[label], alpha=alpha, linewidth=0)
            where = np.full(len(scores), row + offset)
            axes.scatter(scores, where, s=9, color="white", edgecolors=MUTED, linewidths=0.6, zorder=3, clip_on=False)
            words = f"{scores.mean():.2f} {'corridor' if group == 'rooms' else 'anywhere'}"
            axes.annotate(
                words,
                (1.0, row + offset),
                xycoords=("axes fraction", "data"),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
                annotation_clip=False,
            )
    axes.set_yticks(range(len(shown)), shown)
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
