"""Instances, methods and measures of paper 30's experiment, for its arms, checks and figure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from envzoo.scripts.experiments.core.results import Results

ENV, RECHARGING = "envzoo/LSDBandit-v0", "envzoo/RechargingBandit-v0"
ROUNDS, EPISODES, INSTANCES = 1500, 32, 8
GUARANTEE = 1.0 - math.exp(-1.0)

# Family -> environment and keywords; its instances are the generator's seeds 0, 1, ...
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bait, 2 + 1 arms": (ENV, {"instance": "bait", "arms": 3, "satiation": 2, "deprivation": 6}),
    "bait, 4 + 1 arms": (ENV, {"instance": "bait", "arms": 5, "satiation": 2, "deprivation": 8}),
    "bait, 8 + 1 arms": (ENV, {"instance": "bait", "arms": 9, "satiation": 2, "deprivation": 12}),
    "random, 3 arms": (ENV, {"instance": "random_monotone", "arms": 3, "satiation": 3, "deprivation": 3}),
    "random, 20 arms": (ENV, {"instance": "random_monotone", "arms": 20, "satiation": 3, "deprivation": 3}),
    "satiation, 5 arms": (ENV, {"instance": "satiation", "arms": 5, "satiation": 5, "deprivation": 10}),
    "recharging, 5 arms": (RECHARGING, {"instance": "concave", "arms": 5, "max_delay": 10}),
}
BAIT, RECHARGE = "bait, 2 + 1 arms", "recharging, 5 arms"
RANDOM = ("random, 3 arms", "random, 20 arms")

# Label -> (agent, hyperparameters).
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "oracle greedy": ("OracleGreedy", {}),
    "mirrored LP": ("MirroredLP", {}),
    "mirrored LP, resync fill": ("MirroredLP", {"fill": "resync"}),
    "Lagrangian index": ("LagrangianIndex", {}),
}
INTERLEAVED = "recharging LP"
FULL_ONLY = ("bait, 8 + 1 arms", "random, 20 arms", "satiation, 5 arms")


# Seeds of the arms that need more than the others, see the module `checks`; those that no check needs run with three.
SEEDS = {
    ("mirrored LP", "random, 20 arms"): 40,
    ("mirrored LP", "bait, 4 + 1 arms"): 8,
    ("mirrored LP", "satiation, 5 arms"): 10,
    ("mirrored LP", RECHARGE): 20,
    (INTERLEAVED, RECHARGE): 20,
    **{(method, BAIT): 6 for method in ("oracle greedy", "mirrored LP", "mirrored LP, resync fill")},
}


def seeds_of(method: str, family: str) -> int | None:
    """Look up the number of seeds of a method on a family; None for the experiment's."""
    return SEEDS.get((method, family), 3 if method in ("Lagrangian index", "mirrored LP, resync fill") else None)


def arm_name(method: str, family: str) -> str:
    """Return the name of the arm of a method on a family."""
    return f"{method} ({family})"


def ratios(results: Results, method: str, family: str) -> np.ndarray:
    """Share of the relaxation for each seed and instance, (seeds, instances)."""
    arm = arm_name(method, family)
    return np.stack([results.scores(arm, f"{instance}/ratio") for instance in range(INSTANCES)], axis=1)
