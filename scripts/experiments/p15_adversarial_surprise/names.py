"""Worlds, methods, budgets and measures of paper 15's experiment, for its arms, checks and figure."""

from __future__ import annotations

from typing import Any

ROOMS, STOPPED, SHARE, NOISE = "rooms_visited", "noisy_stopped", "noisy_stopped_fraction", "in_active_noise"
ROOMS_CURVE, SHARE_CURVE = f"rollout/final_{ROOMS}_mean", f"rollout/final_{SHARE}_mean"
NOISE_CURVE = f"rollout/final_{NOISE}_mean"
CURVES = (ROOMS_CURVE, SHARE_CURVE, NOISE_CURVE)

CHAINS = {"alternating": "envzoo/BlockChain-v0", "tv": "envzoo/BlockChain-TV-v0"}
WORLD, EARLY = "rooms", "rooms, first steps"
# In the rooms those that a check compares learn equally long, and longer than all others.
CHAIN_STEPS, COMPARED_STEPS, OTHER_STEPS = 393_216, 2_442 * 4_096, 65_536
EPISODES = 300  # of an evaluation
QUICK_CHAIN, QUICK_WORLD = 98_304, 8_192
COMPARED = ("AS", "SMiRL", "RND")
# Label -> (agent, hyperparameters).
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("Random", {}),
    "AS": ("AdversarialSurprise", {}),
    "SMiRL": ("SMiRL", {}),
    "count": ("CountBased", {}),
    "RND": ("RND", {}),
    "episodic count": ("CountBased", {"intrinsic": "episodic_count"}),
    "ICM": ("ICM", {}),
    "APT": ("APT", {}),
    "DIAYN": ("DIAYN", {}),
    "disagreement": ("Disagreement", {}),
    "AGAC": ("AGAC", {}),
}
IN_ROOMS = {"encoder": "symbols", "learning_rate": 5e-4, "entropy_coefficient": 0.03}
ON_CHAINS = ("random", "AS", "SMiRL", "count", "RND")
QUICK = {"alternating": ("random", "AS", "SMiRL", "count"), "tv": (), "rooms": ("random", "AS", "SMiRL", "RND")}
PLACES = {"alternating": "Line", WORLD: "Rooms"}
GOALS = {"alternating": "envzoo/BlockChain-Goal-v0", WORLD: "envzoo/SurpriseRooms-Goal-v0"}


def arm_name(method: str, group: str) -> str:
    """Return the name of the arm of a method in a world."""
    return f"{method} ({group})"
