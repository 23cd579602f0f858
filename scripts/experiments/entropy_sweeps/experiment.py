"""Sweeps of the strengths of the compared methods, on separate seeds and with one rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.papers import Paper
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import exact
from envzoo.scripts.experiments.core.experiment import Experiment, Superseded, Table
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text.clipped import COUNTDOWN, GROUPS, NOTE, RULES
from envzoo.scripts.experiments.text.comparison import (
    ACCURACY,
    COMPARISON_NOTE,
    ENTROPY,
    KEPT,
    PASS,
    PLAIN,
    after,
    compared_arm,
    gain,
    on,
    ratio,
)
from envzoo.scripts.experiments.text.strengths import CHOSEN, GRPO, METHODS, RECOMMENDED, SWEPT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIRST_SEED, SEEDS = 100, 10
LOSS = 0.05  # largest loss of accuracy that a chosen strength may have
SMALL_LOSS = 0.02  # largest loss of accuracy of a recommended method
PUZZLES = (RULES, COUNTDOWN)
QUICK = (GRPO, "KL-Cov")


def arm_name(method: str, label: str, puzzle: str) -> str:
    """Return the name of the arm of a method at a strength."""
    return on(puzzle, f"{method} {label}".strip())


def _arm(method: str, label: str, puzzle: str) -> FunctionArm:
    return compared_arm(
        arm_name(method, label, puzzle), method, METHODS[method].agent, label, puzzle,
        full_only=puzzle != RULES or method not in QUICK,
    )  # fmt: skip


def cost(results: Results, arm: str, puzzle: str) -> float:
    """Compute the mean accuracy after all tokens less GRPO's."""
    return float(gain(results, arm, PLAIN[puzzle], ACCURACY).mean())


def kept(results: Results, arm: str, puzzle: str) -> float:
    """Compute the entropy at equal accuracy over GRPO's; -inf if a run never reaches these accuracies."""
    found = ratio(results, arm, PLAIN[puzzle], KEPT)
    return found if np.isfinite(found) else -np.inf


def choice(results: Results, method: str, puzzle: str, best: bool = True) -> str:
    """Return the label that the rule chooses.

    That is the strength with the most entropy at equal accuracy (the least, if not `best`) of those that lose at most
    .05 of GRPO's accuracy after all tokens; if all lose more, the one that loses least.
    """
    labels = list(METHODS[method].strengths)
    costs = np.array([cost(results, arm_name(method, label, puzzle), puzzle) for label in labels])
    if (costs < -LOSS).all():
        return labels[int(costs.argmax() if best else costs.argmin())]
    values = np.array([kept(results, arm_name(method, label, puzzle), puzzle) for label in labels])
    values = np.where(costs >= -LOSS, values if best else -values, -np.inf)
    return labels[int(values.argmax())]


def disagreements(results: Results, best: bool = True) -> float:
    """Count the methods and puzzles whose strength in `CHOSEN` is not the one of the rule (or of its opposite)."""
    pairs = [(method, puzzle) for puzzle in PUZZLES for method in SWEPT]
    return float(sum(choice(results, method, puzzle, best) != CHOSEN[puzzle].get(method) for method, puzzle in pairs))


def recommended(results: Results, best: bool = True) -> tuple[str, str]:
    """Return the method and strength that the comparison recommends, from these seeds alone.

    That is the one with the most entropy after all tokens (the least, if not `best`; geometric mean of the ratios to
    GRPO's on both puzzles) of those that lose at most .02 of GRPO's accuracy on both.
    """
    found = {}
    for method, described in METHODS.items():
        for label in described.strengths:
            arms = {puzzle: arm_name(method, label, puzzle) for puzzle in PUZZLES}
            if all(cost(results, arm, puzzle) >= -SMALL_LOSS for puzzle, arm in arms.items()):
                ratios = [ratio(results, arm, PLAIN[puzzle], after(ENTROPY)) for puzzle, arm in arms.items()]
                found[method, label] = float(np.prod(ratios))
    return (max if best else min)(found, key=found.get)


def differs(results: Results, best: bool = True) -> float:
    """Return 1 if the recommended method and strength are not those of the rule (or of its opposite), else 0."""
    return float(recommended(results, best) != RECOMMENDED)


def draw_sweep(axes: Axes, results: Results, method: str) -> None:
    """Draw entropy at equal accuracy by strength on both puzzles; hollow if accuracy is lost, ringed if chosen."""
    from envzoo.scripts.experiments.core.figures import BLUE, INK, ORANGE

    labels = list(METHODS[method].strengths)
    for puzzle, colour in ((RULES, BLUE), (COUNTDOWN, ORANGE)):
        arms = [arm_name(method, label, puzzle) for label in labels]
        if not all(arm in results.arms for arm in arms):
            continue
        values = [value if np.isfinite(value := kept(results, arm, puzzle)) else np.nan for arm in arms]
        axes.plot(range(len(arms)), values, color=colour, label=GROUPS[puzzle])
        for k, arm in enumerate(arms):
            face = colour if cost(results, arm, puzzle) >= -LOSS else "white"
            axes.plot(k, values[k], "o", color=colour, markersize=6, markerfacecolor=face, markeredgewidth=1.3)
        k = labels.index(choice(results, method, puzzle))
        axes.plot(k, values[k], "o", color=INK, markersize=12, markerfacecolor="none", markeredgewidth=1.3)
    axes.axhline(1.0, color=INK, linestyle=(0, (4, 3)), linewidth=1.0, zorder=1)
    axes.set_xticks(range(len(labels)), labels)
    axes.margins(x=0.15, y=0.2)
    axes.set_xlabel(METHODS[method].dial)
    axes.set_title(method)


def draw(results: Results, figure: Figure) -> None:
    """Draw a panel for each method."""
    from envzoo.scripts.experiments.text.table_figures import heading

    text = "entropy over GRPO's at equal accuracy, by strength (hollow: more than .05 of accuracy lost; ring: chosen)"
    heading(figure, results, text, (9.2, 7.4))
    shown = [m for m in SWEPT if any(arm_name(m, label, RULES) in results.arms for label in METHODS[m].strengths)]
    grid = figure.subplots(3, 4).ravel()
    for axes, method in zip(grid, shown, strict=False):
        draw_sweep(axes, results, method)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    handles, names = grid[0].get_legend_handles_labels()
    grid[-1].legend(handles, names, loc="center")


def _table(puzzle: str) -> Table:
    derived = {
        "entropy at equal accuracy over GRPO's": lambda results, arm: ratio(results, arm, PLAIN[puzzle], KEPT),
        "accuracy less GRPO's": lambda results, arm: cost(results, arm, puzzle),
    }
    columns = {after(ACCURACY): "accuracy", after(ENTROPY): "entropy, nats", after(PASS): "pass@16"}
    return Table(GROUPS[puzzle], f"{GROUPS[puzzle]}, after all tokens", columns, derived=derived)


_OLD = "the strength was that of a network with six seeds; every method is now swept on the exact table, on two puzzles"
EXPERIMENT = Experiment(
    paper=Paper("Strengths of entropy methods", "Methods of seven papers", 2025, slug="entropy-sweeps"),
    question="How strong must each method be on a small model, where the published strengths hardly act?",
    claim="The strengths that the comparison takes are those that this rule chooses, on seeds that no experiment is "
    "judged on: the one that keeps the most entropy at equal accuracy, of those that cost at most 0.05 of accuracy "
    "after equally many tokens.",
    reason="The rule chose the strengths of the comparison, and most of them are not the published ones: what a method "
    "does to a small softmax table depends on the size of its steps.",
    arms=tuple(
        _arm(method, label, puzzle) for puzzle in PUZZLES for method in METHODS for label in METHODS[method].strengths
    ),
    checks=(
        exact(
            "Methods and puzzles whose strength in the comparison is not the one of the rule", disagreements, "<", 0.5,
            null=lambda results: disagreements(results, best=False), primary=True, full_only=True,
        ),
        exact(
            "The comparison recommends another method and strength than the rule (1) or the same (0)", differs, "<",
            0.5, null=lambda results: differs(results, best=False), primary=True, full_only=True,
        ),
    ),
    figure=draw,
    tables=tuple(_table(puzzle) for puzzle in PUZZLES),
    seeds=SEEDS,
    quick_seeds=2,
    first_seed=FIRST_SEED,
    notes=(
        NOTE,
        COMPARISON_NOTE,
        "The recommendation of the comparison is chosen on these seeds as well, so the methods without a strength run "
        "here too: of all methods and strengths that lose at most .02 of GRPO's accuracy on both puzzles, the one with "
        "the most entropy after all tokens. The first form of this rule allowed a method only its chosen strengths, "
        "which may cost up to .05, and would have recommended REINFORCE++, with as much entropy as GRPO on "
        "TextSumTo-v1; it was widened to all strengths when these results had been seen, and before any run of the "
        "comparison.",
    ),
    superseded=tuple(
        Superseded(f"{method}: the rule chooses {label} (network)", 1.0, ">= 1", _OLD)
        for method, label in {"Clip-Cov": ".02", "KL-Cov": "1", "STEER": ".2", "HAPO": ".5", "BAPO": ".6"}.items()
    ),
)  # fmt: skip
