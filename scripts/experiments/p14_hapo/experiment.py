"""Paper 14, HAPO: temperature, advantages and clipping as functions of each token's entropy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Check, Difference, Ratio, all_of, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Superseded, Table
from envzoo.scripts.experiments.core.figures import BLUE, GREY, ORANGE
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text.clipped import (
    COLUMNS,
    COUNTDOWN,
    FINAL,
    GROUPS,
    LEVELS_NOTE,
    NOTE,
    RULES,
    arm_name,
    clipped_arm,
)
from envzoo.scripts.experiments.text.tables import AREA, ENTROPY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# HAPO and DAPO have the seeds that the primary checks ask for (175 by the runs on seeds from 2000), the others fewer.
SEEDS, FEWER, FIRST_SEED = 180, 60, 3000
PUZZLES = (RULES, COUNTDOWN)
REACH = {RULES: 0.5, COUNTDOWN: 0.3}
COMPONENTS = {
    "A": "adaptive_temperature",
    "B": "token_advantage",
    "C": "redistribution",
    "D": "adaptive_clipping",
}
PLAIN, ALL, CODE = "DAPO", "HAPO", "HAPO, the code's sign"
MARGIN = 0.03


def alone(letter: str) -> str:
    """Return the name of the method with a single component."""
    return f"{letter} alone"


# Method -> (agent, hyperparameters); HAPO without its components is this DAPO.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    PLAIN: ("ClipHigher", {"dual_clip": 10.0}),
    ALL: ("HAPO", {}),
    **{
        alone(letter): ("HAPO", {keyword: other == letter for other, keyword in COMPONENTS.items()})
        for letter in COMPONENTS
    },
    CODE: ("HAPO", {"official_sign": True}),
}


def _arm(method: str, puzzle: str) -> FunctionArm:
    agent, hyperparameters = METHODS[method]
    return clipped_arm(
        method, agent, puzzle, hyperparameters, reach=REACH[puzzle],
        seeds=SEEDS if method in (PLAIN, ALL) else FEWER,
        full_only=puzzle != RULES or method not in (PLAIN, ALL),
    )  # fmt: skip


def largest_token_sum(results: Results, pooled: bool = True) -> float:
    """Compute the largest |sum of advantages over a group's tokens| of component B, on random groups.

    Args:
        results: Not used.
        pooled: False computes GRPO's advantages instead, which do not sum to 0.
    """
    import torch

    from envzoo.agents.reasoning.hapo import token_group_mean
    from envzoo.agents.text.losses.advantages import group_scores

    generator, worst = np.random.default_rng(0), 0.0
    group = torch.zeros(16, dtype=torch.int64)
    for _ in range(200):
        length = torch.as_tensor(generator.integers(1, 20, 16))
        mask = (torch.arange(20) < length[:, None]).double()
        reward = torch.as_tensor(generator.integers(0, 2, 16)).double()
        advantage, fell_back = token_group_mean(reward, group, mask)
        if not pooled:
            advantage = group_scores(reward, group)[:, None]
        if not fell_back.any():
            worst = max(worst, abs(float((advantage * mask).sum())))
    return worst


def _lost(results: Results, puzzle: str) -> np.ndarray:
    """Return the margin of non-inferiority itself."""
    return np.full(len(results.seeds(arm_name(PLAIN, puzzle))), -MARGIN)


def _gain(method: str, puzzle: str) -> Check:
    arm, plain = arm_name(method, puzzle), arm_name(PLAIN, puzzle)
    return seeded(f"{GROUPS[puzzle]}", Difference(arm, plain, FINAL), ">", 0.0, null={arm: plain})


def _entropy(puzzle: str) -> Check:
    arm, plain = arm_name(ALL, puzzle), arm_name(PLAIN, puzzle)
    return seeded(GROUPS[puzzle], Ratio(arm, plain, AREA), ">", 1.0, null={arm: plain}, estimand="ratio")


class ReachedRatio(Ratio):
    """The ratio of two arms' scores, (n,), for the seeds in which both have one."""

    def __call__(self, results: Results) -> np.ndarray:
        """Compute the values."""
        values = super().__call__(results)
        return values[np.isfinite(values)]


def _entropy_where_reached(puzzle: str) -> Check:
    arm, plain = arm_name(ALL, puzzle), arm_name(PLAIN, puzzle)
    return seeded(GROUPS[puzzle], ReachedRatio(arm, plain, AREA), ">", 1.0, null={arm: plain}, estimand="ratio")


def _no_worse(puzzle: str) -> Check:
    arm, plain = arm_name(ALL, puzzle), arm_name(PLAIN, puzzle)
    null = partial(_lost, puzzle=puzzle)
    return seeded(GROUPS[puzzle], Difference(arm, plain, FINAL), ">", -MARGIN, null=null)


def draw(results: Results, figure: Figure) -> None:
    """Draw entropy against accuracy of HAPO and DAPO, and the effects of all components and of each."""
    from envzoo.scripts.experiments.text.table_figures import against_accuracy, effects, heading

    heading(figure, results, "treating tokens by their entropy keeps more of it and ends higher", (9.2, 7.2))
    (top, kept), (bottom, gains) = figure.subplots(2, 2, gridspec_kw={"width_ratios": [1.1, 0.9]})
    levels = {RULES: np.linspace(0.15, 0.9, 40), COUNTDOWN: np.linspace(0.1, 0.48, 40)}
    for puzzle, axes in ((RULES, top), (COUNTDOWN, bottom)):
        arms = {arm_name(method, puzzle): colour for method, colour in ((PLAIN, GREY), (ALL, BLUE))}
        labels = {arm_name(method, puzzle): method for method in (PLAIN, ALL)}
        places = (levels[puzzle][12], levels[puzzle][28])
        against_accuracy(axes, results, arms, ENTROPY, levels[puzzle], places, labels)
        axes.set_title(f"{GROUPS[puzzle]}: entropy, nats")
    methods = {ALL: "HAPO", **{alone(letter): f"{letter} alone" for letter in COMPONENTS}}
    words = {RULES: "sums", COUNTDOWN: "countdown"}
    for axes, measure, estimand, bound, title in (
        (kept, partial(Ratio, score=AREA), "ratio", 1.0, "Entropy at equal accuracy over DAPO's"),
        (gains, partial(Difference, score=FINAL), "mean", 0.0, "Accuracy at the end less DAPO's"),
    ):
        rows = {
            f"{label}, {words[puzzle]}": (measure(arm_name(method, puzzle), arm_name(PLAIN, puzzle)), colour)
            for puzzle, colour in ((RULES, BLUE), (COUNTDOWN, ORANGE))
            for method, label in methods.items()
        }
        effects(axes, results, rows, estimand=estimand, bound=bound, number="{:.3f}")
        axes.locator_params(axis="x", nbins=4)
        axes.set_title(title)


_TABLE = "a network with five seeds (sd .12) cannot settle differences of .03; now the exact table with 60 seeds"
_CHAINS = "as above, with TextCountdown in place of TextChainArith: there too answers have different lengths"
_FIRST = "the same check, whose experiment is judged on seeds from 3000; see the notes"
_SECOND = "inconclusive on one puzzle or failing with 40 seeds; repeated on new seeds, 180 for HAPO and DAPO"
_MARGIN = "would hold for no difference; now superiority of each component over none"
EXPERIMENT = Experiment(
    paper=find("14-hapo"),
    question="Should every token be sampled, credited and clipped alike?",
    claim="HAPO keeps a higher entropy than DAPO at the same accuracy, where answers have one length and where they "
    "have many, and ends at a higher accuracy. So does each of its four components alone. The advantages of a group's "
    "tokens sum to 0 whatever the lengths.",
    reason="HAPO ends .010 and .016 below DAPO, within the margin. Component C multiplies the advantages of confident "
    "tokens whose ratio is near 1 by as little as 0, which is most of them at small steps, so that learning is "
    "slower; B does as much where answers have different lengths; A and D have no effect on both puzzles. "
    "At equal accuracy 1% more entropy is left on TextCountdown, and at most 0.4% on TextSumTo-v1. Language has "
    "many confident tokens, which puzzles of three and four tokens lack.",
    arms=tuple(_arm(method, puzzle) for puzzle in PUZZLES for method in METHODS),
    checks=(
        all_of(
            "HAPO keeps more entropy than DAPO at equal accuracy (ratio)",
            *(_entropy(puzzle) for puzzle in PUZZLES),
            primary=True,
            full_only=True,
            paper_claim="the published curves show a higher entropy at equal steps; ours is a ratio at equal accuracy, "
            "because a method that only learns more slowly has more entropy at equal steps",
        ),
        all_of(
            "All four components against none: accuracy at the end less DAPO's",
            *(_gain(ALL, puzzle) for puzzle in PUZZLES),
            primary=True,
            full_only=True,
            paper_claim="3.1 points on six benchmarks at 7B; ours is superiority, without a number",
        ),
        all_of(
            f"HAPO loses at most {MARGIN:g} of DAPO's accuracy at the end",
            *(_no_worse(puzzle) for puzzle in PUZZLES),
            primary=True,
            full_only=True,
        ),
        all_of(
            "HAPO keeps more entropy than DAPO at equal accuracy, in the seeds that reach these accuracies",
            *(_entropy_where_reached(puzzle) for puzzle in PUZZLES),
            full_only=True,
        ),
        *(
            all_of(
                f"{letter} against none: accuracy at the end less DAPO's",
                *(_gain(alone(letter), puzzle) for puzzle in PUZZLES),
                full_only=True,
                paper_claim="each component alone is 1.0 to 1.9 points above DAPO at 7B",
            )
            for letter in COMPONENTS
        ),
        exact(
            "Component B: largest |sum of a group's token advantages|", largest_token_sum, "<", 1e-5,
            null=partial(largest_token_sum, pooled=False),
        ),
    ),
    figure=draw,
    tables=(
        Table(GROUPS[RULES], "TextSumTo-v1: answers of one length; A to D are HAPO's components", COLUMNS),
        Table(GROUPS[COUNTDOWN], "TextCountdown: an answer ends with its first error", COLUMNS),
    ),
    seeds=SEEDS,
    first_seed=FIRST_SEED,
    small_scale=True,
    quick_seeds=2,
    notes=(
        NOTE,
        LEVELS_NOTE,
        "DAPO is used without dynamic sampling, which both methods would share; HAPO without its four components is "
        "identical to this DAPO. HAPO has the paper's strengths (temperature .05, redistribution 1, clipping 1), with "
        "a floor of the entropy of 1e-3.",
        "Components: A is the temperature of sampling, B the advantages against a group's tokens, C the redistribution "
        "of advantages, D the clipping bounds. If all answers have the same length, as in TextSumTo-v1, B changes only "
        "the standard deviation that divides the advantages. The released code gives confident tokens the sign of "
        "uncertain ones (`official_sign`).",
        "Bounds and numbers of seeds were written down after pilots on seeds 0 to 5. A first full run, on seeds 1000 "
        "to 1059, measured the entropy at equal accuracy up to accuracies of .7 and .4, which one and two of 60 runs "
        "never reach, so that this check had no value. The accuracies now end at .6 and .35, and the second run, "
        "on 40 seeds from 2000, left one primary check inconclusive. The third, on seeds from 3000, has the number of "
        "seeds that this check asked for, and alone decides. The values of both are below.",
        "In the third run, one of HAPO's 180 seeds on TextSumTo-v1 does not reach an accuracy of .6 either, so that "
        "the first primary check has no value once more, and counts as inconclusive. The check beside it, which "
        "leaves such seeds out, was added after this was seen.",
    ),
    superseded=(
        Superseded("TextSumTo-v1: entropy over DAPO's at equal accuracy, seeds from 2000", 1.0024, "> 1", _SECOND),
        Superseded("TextCountdown: entropy over DAPO's at equal accuracy, seeds from 2000", 1.0109, "> 1", _SECOND),
        Superseded("HAPO, TextSumTo-v1: accuracy at the end less DAPO's, seeds from 2000", -0.0062, "> 0", _SECOND),
        Superseded("HAPO, TextCountdown: accuracy at the end less DAPO's, seeds from 2000", -0.0155, "> 0", _SECOND),
        Superseded("HAPO, TextSumTo-v1: accuracy at the end less DAPO's, seeds from 1000", -0.0107, "> 0", _FIRST),
        Superseded("HAPO, TextCountdown: accuracy at the end less DAPO's, seeds from 1000", -0.0157, "> 0", _FIRST),
        Superseded("TextSumTo: entropy over DAPO's at equal accuracy (network)", 1.365, "> 1", _TABLE),
        Superseded("TextChainArith: entropy over DAPO's at equal accuracy (network)", 1.100, "> 1", _CHAINS),
        Superseded("TextSumTo: accuracy at the end less DAPO's (network)", 0.0136, ">= 0", _TABLE),
        Superseded("TextChainArith: accuracy at the end less DAPO's (network)", 0.0261, ">= 0", _CHAINS),
        Superseded("TextSumTo, A alone: accuracy at the end less DAPO's (network)", 0.0296, ">= 0", _MARGIN),
        Superseded("TextChainArith, B alone: accuracy at the end less DAPO's (network)", 0.0495, ">= 0", _MARGIN),
        Superseded("TextSumTo, C alone: accuracy at the end less DAPO's (network)", 0.0343, ">= 0", _MARGIN),
        Superseded("TextSumTo, D alone: accuracy at the end less DAPO's (network)", -0.0135, ">= 0", _MARGIN),
        Superseded(
            "TextSumTo: accuracy at the end of all four components less that of the best alone (network)", -0.0208,
            ">= 0", "the best of four is above their mean by chance; now all four against none, and each against none",
        ),
    ),
)  # fmt: skip
