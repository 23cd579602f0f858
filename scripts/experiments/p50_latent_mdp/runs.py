"""The arms of paper 50: locks played as bandits, learning with and without memory, padding, and exact planning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

ARMS = 6
EPISODES = (2_000, 8_000, 32_000)
MARKS = (1_250, 5_000, 20_000)


def _play(
    seeds: Sequence[int], contexts: int, base: float, gap: float, hoeffding: bool, marks: Sequence[int]
) -> np.ndarray:
    """Play a lock with keys of its own for each seed; returns the regret (seeds, marks)."""
    from envzoo.agents.tabular.latent_learning import play_keys
    from envzoo.kernel.stream import keys

    streams, regret = np.zeros((len(seeds), 2), np.uint64), np.empty((len(seeds), len(marks)))
    streams[:, 0] = keys(np.array(seeds, np.uint64))
    for i, seed in enumerate(seeds):
        best = np.random.default_rng([seed, 50]).integers(ARMS, size=contexts)
        play_keys(best, base, gap, hoeffding, 1.0, np.array(marks), streams, i, regret)
    return regret


def measure_rate(seeds: Sequence[int], budget: int, quick: bool, contexts: int) -> list[dict[str, Any]]:
    """Measure the regret for each number of episodes K with the hardest gap for it, sqrt(0.25 * 6 M / K)."""
    from envzoo.agents.planners.tabular.regret import log_log_slopes

    columns = []
    for episodes in EPISODES:
        gap = float(np.sqrt(0.25 * ARMS * contexts / episodes))
        columns.append(_play(seeds, contexts, 0.5 - gap / 2, gap, False, (episodes,))[:, 0])
    regret = np.stack(columns, axis=1)
    slopes = log_log_slopes(np.array(EPISODES, float), np.maximum(regret, 1e-3))
    return [
        {"scores": {**{f"K = {k}": float(x) for k, x in zip(EPISODES, row, strict=True)}, "slope": float(slope)}}
        for row, slope in zip(regret, slopes, strict=True)
    ]


def measure_bonus(
    seeds: Sequence[int], budget: int, quick: bool, base: float, gap: float, hoeffding: bool
) -> list[dict[str, Any]]:
    """Measure the regret of a bonus with two contexts and a fixed gap."""
    regret = _play(seeds, 2, base, gap, hoeffding, MARKS)
    return [{"scores": {f"K = {k}": float(x) for k, x in zip(MARKS, row, strict=True)}} for row in regret]


def learn_world(
    seed: int, budget: int, quick: bool, world: str, bonus: str, memory: bool = True, pad: int = 0
) -> dict[str, Any]:
    """Learn a world by planning over histories: "signal", or "lock" (2 contexts, 9 arms) with waiting steps."""
    from envzoo.agents.tabular.latent_learning import learn_latent
    from envzoo.tabular.latent_worlds import encoding_lock, signal_world

    model = signal_world() if world == "signal" else encoding_lock(1, 3, 0.5, 0.3, pad, world_seed=seed)
    found = learn_latent(model, budget, bonus, seed, memory=memory)
    regret = found["regret"]
    return {
        "scores": {
            "regret": float(regret[-1]),
            "late": float((regret[-1] - regret[len(regret) // 2]) / (len(regret) - 1 - len(regret) // 2)),
            "plans": float(found["plans"]),
            "unclipped": found["unclipped"] / budget,
            "optimistic": found["optimistic"] / max(found["unclipped"], 1),
        }
    }


def check_planner(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Compare the planner with brute force, its value with an exact evaluation, and two ways to a variance."""
    from envzoo.agents.planners.tabular.brute_force import best_lmdp_value
    from envzoo.agents.planners.tabular.latent import LatentPlan, evaluate_plan
    from envzoo.tabular import random_lmdp

    model = random_lmdp(2, 3, 2, 4, seed=seed)
    plan = LatentPlan(model)
    blind = evaluate_plan(LatentPlan(_pooled(model)), model)
    best = best_lmdp_value(model)
    scores = {"off brute force": abs(plan.value - best), "off evaluation": abs(plan.value - evaluate_plan(plan, model))}
    return {"scores": scores | {"without memory": best - blind}}


def _pooled(model: Any) -> Any:
    """Return the process in which all contexts are one, with their mean laws."""
    from envzoo.tabular import LatentMDP

    p, r = np.einsum("m,msat->sat", model.weights, model.p)[None], np.einsum("m,msa->sa", model.weights, model.r)[None]
    return LatentMDP(p / p.sum(-1, keepdims=True), r, model.horizon, initial=model.weights @ model.initial)
