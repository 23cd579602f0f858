"""Paper 14, HAPO: temperature, advantages and clipping as functions of each token's entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import Arm
from envzoo.scripts.experiments.core.checks import Check, point
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text import runs as runs
from envzoo.scripts.experiments.text.runs import ACCURACY, ENTROPY, text_arm
from envzoo.scripts.experiments.text.strengths import SWEPT, strength

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UPDATES = 150
CHAIN = "TextChainArith"
CHAIN_KEYWORDS = {"scratchpad": "free", "steps": 2}
TASKS = (runs.SUM, CHAIN)
FALLBACK, SCALE = "select/fallback_fraction", "policy/advantage_scale"
BASE = {"dual_clip": 10.0}  # for both DAPO and HAPO
COMPONENTS = {
    "A": "adaptive_temperature",
    "B": "token_advantage",
    "C": "redistribution",
    "D": "adaptive_clipping",
}
PUBLISHED = "HAPO, the paper's strengths"
# Differences of the released code from the paper: signs of confident tokens, and the floor of the entropy.
RELEASED = {
    "HAPO, the code's sign": {"official_sign": True},
    "HAPO, the code's sign and floor": {"official_sign": True, "entropy_floor": 1e-8},
}
# B has an effect only if answers have different lengths, so it is judged on chains.
JUDGED_ALONE = {"A": runs.SUM, "B": CHAIN, "C": runs.SUM, "D": runs.SUM}


def arm_name(method: str, task: str) -> str:
    """Return the name of the arm of a method on a task."""
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


def alone(component: str) -> str:
    """Return the name of the method with a single component."""
    return f"{component} alone"


def _only(component: str) -> dict[str, Any]:
    return strength("HAPO") | {keyword: letter == component for letter, keyword in COMPONENTS.items()}


def _lead_of_all(results: Results) -> float:
    """Compute the final accuracy of all four components less that of the best single one, on TextSumTo."""
    best = max(results.iqm(arm_name(alone(letter), runs.SUM), ACCURACY) for letter in COMPONENTS)
    return results.iqm(arm_name("HAPO", runs.SUM), ACCURACY) - best


def largest_token_sum(results: Results) -> float:
    """Compute the largest |sum of advantages over a group's tokens| of component B, on random groups."""
    import torch

    from envzoo.agents.reasoning.hapo import token_group_mean

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
    """Draw training curves and entropy against accuracy, on both tasks, also for single components."""
    from envzoo.scripts.experiments.text.figures import draw_rows, usual_panels

    heading = "Treating tokens by their entropy keeps more of it at the same accuracy"
    parts = f"{runs.SUM}: components"
    shown = {
        runs.SUM: ("DAPO", "HAPO", PUBLISHED),
        parts: ("DAPO", "HAPO", *(arm_name(alone(letter), runs.SUM) for letter in COMPONENTS), *RELEASED),
    }
    # Quick runs do not include single components.
    rows = {runs.SUM: usual_panels(), CHAIN: usual_panels()}
    if arm_name(alone("A"), runs.SUM) in results.arms:
        rows[parts] = usual_panels()
    draw_rows(results, figure, heading, rows, shown)


def _more_entropy(task: str) -> Check:
    mine, plain = arm_name("HAPO", task), arm_name("DAPO", task)
    return runs.compare(
        f"{task}: entropy over DAPO's at equal accuracy", runs.matched_ratio, mine, plain, ENTROPY, ">", 1.0
    )


def _no_worse(method: str, task: str) -> Check:
    mine, plain = arm_name(method, task), arm_name("DAPO", task)
    head = task if method == "HAPO" else f"{task}, {method}"
    return runs.compare(
        f"{head}: accuracy at the end less DAPO's", runs.final_difference, mine, plain, ACCURACY, ">=", 0.0
    )


EXPERIMENT = Experiment(
    paper=find("14-hapo"),
    question="Should every token be sampled, credited and clipped alike?",
    claim="HAPO keeps a higher entropy than DAPO at the same accuracy, where answers have one length and where they "
    "have many, and ends at an accuracy at least as high. So does each of its four components alone, and all together "
    "do better than any of them. The advantages of a group's tokens sum to 0 whatever the lengths.",
    arms=(
        _arm("DAPO", "ClipHigher", runs.SUM, BASE),
        _arm("HAPO", "HAPO", runs.SUM, strength("HAPO")),
        _arm("DAPO", "ClipHigher", CHAIN, BASE, True),
        _arm("HAPO", "HAPO", CHAIN, strength("HAPO"), True),
        *(_arm(PUBLISHED, "HAPO", task, {}, True) for task in TASKS),
        *(_arm(alone(letter), "HAPO", runs.SUM, _only(letter), True) for letter in COMPONENTS),
        _arm(alone("B"), "HAPO", CHAIN, _only("B"), True),
        *(_arm(method, "HAPO", runs.SUM, keywords, True) for method, keywords in RELEASED.items()),
    ),
    checks=(
        point("Component B: largest |sum of a group's token advantages|", largest_token_sum, "<", 1e-5),
        *(_more_entropy(task) for task in TASKS),
        *(_no_worse("HAPO", task) for task in TASKS),
        *(_no_worse(alone(letter), task) for letter, task in JUDGED_ALONE.items()),
        point(
            "TextSumTo: accuracy at the end of all four components less that of the best alone",
            _lead_of_all,
            ">=",
            0.0,
            full_only=True,
        ),
    ),
    figure=draw,
    tables=(
        runs.final_table(
            runs.SUM, "TextSumTo: answers of one length; A to D are HAPO's components", {SCALE: "|A'| over |A|"}
        ),
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
        *runs.NOTES,
        "DAPO is used without dynamic sampling, which both methods would share; HAPO without its four components is "
        "bit-identical to this DAPO. The floor of the entropy is 1e-3. HAPO and its components use the chosen "
        "strength, a multiple of the paper's; the variants of the released code use the paper's. " + SWEPT,
        "Components: A is the temperature of sampling, B the advantages against a group's tokens, C the redistribution "
        "of advantages, D the clipping bounds. In the paper's ablation at 7B, each component alone is 1.0 to 1.9 "
        "points above DAPO, and all together are 3.1 above. If all answers have the same length, B changes only the "
        "standard deviation that divides the advantages (population instead of sample), so it is judged on chains.",
        "The released code gives confident tokens the sign of uncertain ones (`official_sign`), and clips entropies at "
        "1e-8 before taking the logarithm.",
    ),
)
