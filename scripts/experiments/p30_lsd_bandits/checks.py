"""The checks of paper 30, and those that they replaced.

Planned seeds, from the spreads of five pilot runs (seeds 0 to 4) with the upper 80% limit of their deviation: 6 for the
bait instances, and 40 for the lowest instance of 20 random arms, 20 for that of recharging bandits, 10 and 8 for two
others and 5 for the rest (joint power of the primary checks .96); 20 for the planners of recharging bandits (.99), 6
for the ratio of regrets (.90), 4 for their slopes and 5 for all others (above .99).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from envzoo.scripts.experiments.core.checks import Check, Score, all_of, equivalence, seeded
from envzoo.scripts.experiments.core.experiment import Superseded
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p30_lsd_bandits import learning as learning
from envzoo.scripts.experiments.p30_lsd_bandits.names import (
    BAIT,
    GUARANTEE,
    INSTANCES,
    INTERLEAVED,
    RANDOM,
    RECHARGE,
    arm_name,
)

# The instance of each family with the lowest share for the mirrored LP in the pilot.
LOWEST = {
    "bait, 2 + 1 arms": 0,
    "bait, 4 + 1 arms": 5,
    "bait, 8 + 1 arms": 1,
    "random, 3 arms": 7,
    "random, 20 arms": 1,
    "satiation, 5 arms": 5,
    "recharging, 5 arms": 5,
}
ABSTRACT = "The full text was not available; the bound is ours. "


@dataclass(frozen=True)
class Share:
    """Measure: mean share of the relaxation over the instances of a family, for each seed, (n,).

    Attributes:
        method: The method.
        family: The family.
        over: Another method, whose shares divide (`ratio`) or are subtracted.
        ratio: Divide instead of subtracting.
    """

    method: str
    family: str
    over: str
    ratio: bool = False

    def __call__(self, results: Results) -> np.ndarray:
        """Compute the values."""
        arms = [arm_name(method, self.family) for method in (self.method, self.over)]
        seeds = results.shared(*arms)
        first, second = (
            np.mean([results.by_seed(arm, f"{i}/ratio", seeds) for i in range(INSTANCES)], axis=0) for arm in arms
        )
        return first / second if self.ratio else first - second


def _swap(method: str, other: str, family: str) -> dict[str, str]:
    return {arm_name(method, family): arm_name(other, family)}


def _over_greedy(method: str) -> Share:
    return Share(method, BAIT, "oracle greedy", ratio=True)


def _above_guarantee(family: str) -> Check:
    measure = Score(arm_name("mirrored LP", family), f"{LOWEST[family]}/ratio")
    return seeded(
        f"{family}, instance {LOWEST[family]}",
        measure,
        ">=",
        GUARANTEE,
        null=lambda results: GUARANTEE * measure(results),  # as if it acted in that share of its rounds only
        full_only=True,
    )


def _greedy_ahead(family: str) -> Check:
    null = _swap("oracle greedy", "mirrored LP", family)
    return seeded(family, Share("oracle greedy", family, "mirrored LP"), ">", 0.0, null=null, full_only=True)


CHECKS = (
    seeded(
        "Bait, 2 + 1 arms: the mirrored LP earns at least 1.15 times what the oracle greedy earns",
        _over_greedy("mirrored LP"),
        ">=",
        1.15,
        estimand="ratio",
        null=_swap("mirrored LP", "oracle greedy", BAIT),
        paper_claim=f"{ABSTRACT}The abstract's guarantee implies that greed, which has none, can be beaten.",
        primary=True,
    ),
    all_of(
        "The mirrored LP earns at least 1 - 1/e of the relaxation on the lowest instance of every family",
        *(_above_guarantee(family) for family in LOWEST),
        paper_claim="The abstract says nearly the guarantee of recharging bandits, 1 - 1/e; here the bound itself. The "
        "lowest instances were chosen by the pilot.",
        primary=True,
        full_only=True,
    ),
    seeded(
        "Explore then commit: slope of log regret over log T",
        partial(learning.slopes, learner="explore then commit"),
        "<",
        0.85,
        null=learning.linear_slopes,
        paper_claim=f"{ABSTRACT}The abstract says sublinear regret, a slope below 1 in the limit; at finite horizons a "
        "margin is needed.",
        primary=True,
        full_only=True,
    ),
    seeded(
        "Bait, 2 + 1 arms: the mirrored LP with resync fill earns at least 1.15 times what the oracle greedy earns",
        _over_greedy("mirrored LP, resync fill"),
        ">=",
        1.15,
        estimand="ratio",
        null=_swap("mirrored LP, resync fill", "oracle greedy", BAIT),
    ),
    all_of(
        "Random monotone instances: the oracle greedy is ahead of the mirrored LP (difference of shares)",
        *(_greedy_ahead(family) for family in RANDOM),
        full_only=True,
    ),
    equivalence(
        "Recharging: the mirrored LP and the planner for recharging bandits earn the same (difference of shares)",
        Share("mirrored LP", RECHARGE, INTERLEAVED),
        -0.02,
        0.02,
        null=_swap(INTERLEAVED, "mirrored LP, resync fill", RECHARGE),
    ),
    seeded(
        f"Regret of the optimistic learner over explore then commit's at T = {learning.HORIZONS[-1]:,}",
        learning.optimism_over_commit,
        "<",
        1.0,
        estimand="ratio",
        null=learning.SAME_LEARNER,
        full_only=True,
    ),
)

INTERVAL = "An aggregate without an interval; "
SUPERSEDED = (
    Superseded("Bait, 2 + 1 arms: mirrored LP over oracle greedy", 1.24, ">= 1.15", f"{INTERVAL}the same bound."),
    Superseded("... with resync fill", 1.29, ">= 1.15", f"{INTERVAL}the same bound."),
    Superseded(
        "Random monotone: least lead of oracle greedy over the mirrored LP (share of LP)",
        0.224,
        "> 0",
        f"{INTERVAL}now each of both families.",
    ),
    Superseded(
        "Every instance: mirrored LP above 1 - 1/e (least distance, 3 s.e. allowed)",
        0.0728,
        ">= 0",
        "The standard errors were added in favour of the claim. Now the whole interval must be above the guarantee.",
    ),
    Superseded(
        "Recharging: mirrored and recharging planner differ by (standard errors)",
        0.685,
        "<= 3",
        "Too few runs would pass it. Now an equivalence with four times as many.",
    ),
    Superseded(
        "Learning: slope of log regret over log T, explore then commit", 0.452, "< 0.85", f"{INTERVAL}the same bound."
    ),
    Superseded(
        "Learning: regret of the optimistic learner over explore then commit's at the largest T",
        0.840,
        "< 1",
        f"{INTERVAL}the same bound on pairs of runs.",
    ),
)
