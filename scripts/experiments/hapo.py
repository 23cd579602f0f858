"""Paper 14, HAPO: temperature, advantages and clipping as functions of each token's entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.papers import HAPO
from envzoo.scripts.experiments import text_runs as runs
from envzoo.scripts.experiments.experiment import Arm, Check, Experiment, Results
from envzoo.scripts.experiments.text_runs import ACCURACY, ENTROPY, text_arm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UPDATES = 150
CHAIN = "TextChainArith"
CHAIN_KEYWORDS = {"scratchpad": "free", "steps": 2}
TASKS = (runs.SUM, CHAIN)
FALLBACK, SCALE = "select/fallback_fraction", "policy/advantage_scale"
BASE = {"dual_clip": 10.0}  # of DAPO and HAPO alike


def arm_name(method: str, task: str) -> str:
    """Name of the arm of a method on a task."""
    return method if task == runs.SUM else f"{method}, chains"


def _arm(method: str, agent: str, task: str, hyperparameters: dict, full_only: bool = False) -> Arm:
    kwargs = CHAIN_KEYWORDS if task == CHAIN else {}
    curves = ("rollout/length", *((SCALE, FALLBACK) if agent == "HAPO" else ()))
    return text_arm(
        arm_name(method, task),
        agent,
        UPDATES,
        hyperparameters,
        task=task,
        env_kwargs=kwargs,
        curves=curves,
        full_only=full_only,
    )


def largest_token_sum(results: Results) -> float:
    """Component B on random groups of unequal lengths: the largest |sum of advantages over a group's tokens|."""
    import torch

    from envzoo.agents.losses.text.hapo import token_group_mean

    generator, worst = np.random.default_rng(0), 0.0
    for _ in range(200):
        length = torch.as_tensor(generator.integers(1, 20, 16))
        mask = (torch.arange(20) < length[:, None]).double()
        reward = torch.as_tensor(generator.integers(0, 2, 16)).double()
        advantage, fell_back = token_group_mean(reward, torch.zeros(16, dtype=torch.int64), mask)
        if not fell_back.any():
            worst = max(worst, abs(float((advantage * mask).sum())))
    return worst


def draw(results: Results, figure: Figure) -> None:
    """Curves and the exchange of entropy for accuracy, on both tasks."""
    from envzoo.scripts.experiments.text_figures import draw_rows, usual_panels

    heading = "Treating tokens by their entropy keeps more of it at the same accuracy"
    draw_rows(results, figure, heading, {runs.SUM: usual_panels(), CHAIN: usual_panels()})


def _more_entropy(task: str) -> Check:
    mine, plain = arm_name("HAPO", task), arm_name("DAPO", task)
    return runs.compare(
        f"{task}: entropy over DAPO's at equal accuracy", runs.matched_ratio, mine, plain, ENTROPY, ">", 1.0
    )


def _no_worse(task: str) -> Check:
    mine, plain = arm_name("HAPO", task), arm_name("DAPO", task)
    return runs.compare(
        f"{task}: accuracy at the end less DAPO's", runs.final_difference, mine, plain, ACCURACY, ">=", 0.0
    )


EXPERIMENT = Experiment(
    paper=HAPO,
    question="Should every token be sampled, credited and clipped alike?",
    claim="HAPO keeps a higher entropy than DAPO at the same accuracy, where answers have one length and where they "
    "have many, and ends at an accuracy at least as high. The advantages of a group's tokens sum to 0 whatever the "
    "lengths.",
    arms=(
        _arm("DAPO", "ClipHigher", runs.SUM, BASE),
        _arm("HAPO", "HAPO", runs.SUM, {}),
        _arm("DAPO", "ClipHigher", CHAIN, BASE, True),
        _arm("HAPO", "HAPO", CHAIN, {}, True),
    ),
    checks=(
        Check("Component B: largest |sum of a group's token advantages|", largest_token_sum, "<", 1e-5),
        *(_more_entropy(task) for task in TASKS),
        *(_no_worse(task) for task in TASKS),
    ),
    figure=draw,
    tables=(
        runs.final_table(runs.SUM, "TextSumTo: answers of one length", {SCALE: "|A'| over |A|"}),
        runs.final_table(
            CHAIN,
            "TextChainArith, free scratchpad: answers of many lengths",
            {FALLBACK: "rows with GRPO's advantages", "rollout/length": "tokens"},
        ),
    ),
    seeds=runs.SEEDS,
    small_scale=True,
    quick_seeds=1,
    notes=(
        runs.SCALE_NOTE,
        runs.MATCHED_NOTE,
        "DAPO stands here without dynamic sampling, which both would share; HAPO with its four components off is this "
        "DAPO bit for bit. HAPO's own hyperparameters are the paper's, except for the floor of the entropy (1e-3).",
    ),
)
