"""Sweeps of the strengths used by the experiments with language models, on separate seeds and with one rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from envzoo.papers import Paper
from envzoo.scripts.experiments.core.arms import Arm
from envzoo.scripts.experiments.core.checks import point
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p03_entropy_mechanism import experiment as mechanism
from envzoo.scripts.experiments.p14_hapo import experiment as hapo
from envzoo.scripts.experiments.p23_bapo import experiment as bapo
from envzoo.scripts.experiments.text import runs as runs
from envzoo.scripts.experiments.text.runs import ACCURACY, ENTROPY, text_arm
from envzoo.scripts.experiments.text.strengths import CHOSEN, DIALS, strength

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIRST_SEED, SEEDS = 100, 6
LOSS = 0.05  # largest loss of final accuracy that a strength may have
SUM, CHAIN = "TextSumTo, 150 updates", "TextChainArith, data 8 steps old"
GRPO, CLIP_HIGHER, DAPO, STALE = "GRPO", "clip-higher", "DAPO", "GRPO, 8 steps"


@dataclass(frozen=True)
class Sweep:
    """A method whose strength is swept.

    Attributes:
        agent: Name of the agent.
        reference: Arm to which its paper compares it.
        dial: Description of the strength hyperparameter.
        group: Task and data.
    """

    agent: str
    reference: str
    dial: str
    group: str = SUM


SWEEPS = {
    "Clip-Cov": Sweep("ClipCov", GRPO, "share of tokens"),
    "KL-Cov": Sweep("KLCov", GRPO, "weight"),
    "STEER": Sweep("STEER", CLIP_HIGHER, "least weight"),
    "HAPO": Sweep("HAPO", DAPO, "times the paper's"),
    "BAPO": Sweep("BAPO", STALE, "share of rewarded tokens", CHAIN),
}
# Arm -> (agent, hyperparameters, group).
REFERENCES = {
    GRPO: ("GRPO", {}, SUM),
    CLIP_HIGHER: ("ClipHigher", {}, SUM),
    DAPO: ("ClipHigher", hapo.BASE, SUM),
    STALE: ("GRPO", {}, CHAIN),
}
QUICK = (GRPO, "KL-Cov 1")


def arm_name(method: str, label: str) -> str:
    """Return the name of the arm of a method at a strength."""
    return f"{method} {label}"


def arms_of(method: str) -> dict[str, str]:
    """Map each strength label to its arm, from weak to strong."""
    return {label: arm_name(method, label) for label in DIALS[method]}


def _arm(name: str, agent: str, hyperparameters: dict, group: str) -> Arm:
    stale = group == CHAIN
    return text_arm(
        name,
        agent,
        bapo.UPDATES if stale else mechanism.UPDATES,
        {**({"num_epochs": 1} | bapo.SOURCES["8 steps"][1] if stale else {}), **hyperparameters},
        task=bapo.TASK if stale else runs.SUM,
        env_kwargs=bapo.KEYWORDS if stale else {},
        group=group,
        points=50,
        full_only=name not in QUICK,
    )


def kept(results: Results, method: str, arm: str) -> float:
    """Compute the ratio of the entropy to the reference's, at the highest accuracy both reach in each seed."""
    return runs.matched_ratio(results, arm, SWEEPS[method].reference, ENTROPY)


def cost(results: Results, method: str, arm: str) -> float:
    """Compute the final accuracy less the reference's."""
    return runs.final_difference(results, arm, SWEEPS[method].reference, ACCURACY)


def choice(results: Results, method: str) -> str:
    """Choose the strength with the highest entropy among those that lose at most 0.05 accuracy, or the least loss."""
    labels = list(arms_of(method).items())
    costs = np.array([cost(results, method, arm) for _, arm in labels])
    if (costs < -LOSS).all():
        return labels[int(costs.argmax())][0]
    values = np.array([kept(results, method, arm) for _, arm in labels])
    return labels[int(np.where(costs >= -LOSS, values, -np.inf).argmax())][0]


def _agrees(results: Results, method: str) -> float:
    return float(choice(results, method) == CHOSEN[method])


def draw_sweep(axes: Axes, results: Results, method: str) -> None:
    """Draw entropy at equal accuracy by strength; markers are hollow if accuracy is lost, and the choice has a ring."""
    from envzoo.scripts.experiments.core.figures import BLUE, ORANGE, level

    shown = {label: arm for label, arm in arms_of(method).items() if arm in results.arms}
    values = [kept(results, method, arm) for arm in shown.values()]
    axes.plot(range(len(shown)), values, color=BLUE, zorder=2)
    for k, (arm, value) in enumerate(zip(shown.values(), values, strict=True)):
        face = BLUE if cost(results, method, arm) >= -LOSS else "white"
        axes.plot(k, value, "o", color=BLUE, markersize=7, markerfacecolor=face, markeredgewidth=1.4, zorder=3)
    if len(shown) == len(DIALS[method]):
        at = list(shown).index(choice(results, method))
        axes.plot(at, values[at], "o", color=ORANGE, markersize=14, markerfacecolor="none", markeredgewidth=1.8)
    level(axes, 1.0, SWEEPS[method].reference)
    axes.set_xticks(range(len(shown)), [label.replace(", ", ",\n") for label in shown])
    axes.margins(x=0.12, y=0.18)
    axes.set_xlabel(SWEEPS[method].dial)
    axes.set_title(method)


def draw(results: Results, figure: Figure) -> None:
    """Draw a panel for each method."""
    from envzoo.scripts.experiments.core.figures import title

    shown = [method for method in SWEEPS if any(arm in results.arms for arm in arms_of(method).values())]
    figure.set_size_inches(3.1 * max(len(shown), 2) + 0.6, 3.7)
    title(
        figure,
        results,
        "Entropy over the reference's at equal accuracy (hollow: more than 0.05 of accuracy lost; ring: chosen)",
    )
    grid = figure.subplots(1, len(shown), squeeze=False)
    for axes, method in zip(grid[0], shown, strict=True):
        draw_sweep(axes, results, method)


def _tables() -> tuple[Table, ...]:
    found = []
    for method, sweep in SWEEPS.items():
        derived = {
            "entropy over the reference's at equal accuracy": lambda results, arm, method=method: kept(
                results, method, arm
            ),
            "accuracy less the reference's": lambda results, arm, method=method: cost(results, method, arm),
        }
        names = (sweep.reference, *arms_of(method).values())
        found.append(Table(sweep.group, f"{method}: {sweep.dial}", runs.COLUMNS, arms=names, derived=derived))
    return tuple(found)


EXPERIMENT = Experiment(
    paper=Paper("Strengths of entropy methods", "Methods of five papers", 2025, slug="entropy-sweeps"),
    question="How strong must each method be on a small model, where the published strengths hardly act?",
    claim="The strengths that the experiments take are those that this rule chooses, on seeds that no experiment is "
    "judged on: the one that keeps the most entropy at equal accuracy, of those that cost at most 0.05 of accuracy at "
    "the end.",
    arms=(
        *(_arm(name, *reference) for name, reference in REFERENCES.items()),
        *(
            _arm(arm, sweep.agent, strength(method, label), sweep.group)
            for method, sweep in SWEEPS.items()
            for label, arm in arms_of(method).items()
        ),
    ),
    checks=tuple(
        point(
            f"{method}: the rule chooses {CHOSEN[method]}",
            partial(_agrees, method=method),
            ">=",
            1.0,
            full_only=True,
        )
        for method in SWEEPS
    ),
    figure=draw,
    tables=_tables(),
    seeds=SEEDS,
    quick_seeds=1,
    first_seed=FIRST_SEED,
    notes=(
        runs.SCALE_NOTE,
        runs.MATCHED_NOTE,
        "Lp-Reg, AEPO and D3S are not included: Lp-Reg's strengths were tried on the task of its paper's experiment, "
        "whose page gives the results, AEPO's strength is the target that it is judged on, and D3S is about tokens "
        "saved.",
    ),
)
