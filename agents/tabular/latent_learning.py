"""Learning latent processes when the context is told after each episode (paper 50, arXiv 2210.11604)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from envzoo.agents.planners.tabular.latent import Bonus, LatentPlan, evaluate_plan
from envzoo.kernel.stream import uniform
from envzoo.tabular import LatentMDP


class LatentCounts:
    """Counts of transitions in each context, and the estimates that are frozen until a count has doubled.

    Args:
        model: The process, of which sizes, rewards, weights and first laws are known.
        memory: False pools all contexts, so that plans depend on time and state only.
    """

    def __init__(self, model: LatentMDP, memory: bool = True):
        self.memory, self.horizon = memory, model.horizon
        contexts = model.num_contexts if memory else 1
        shape = (contexts, model.num_states, model.num_actions)
        self.counts = np.zeros((*shape, model.num_states), np.int64)
        self.known, self.p = np.zeros(shape), np.full((*shape, model.num_states), 1 / model.num_states)
        w = model.weights
        self.weights = w if memory else np.ones(1)
        self.initial = model.initial if memory else (w[:, None] * model.initial).sum(axis=0, keepdims=True)
        self.r = model.r if memory else np.einsum("m,msa->sa", w, model.r)[None]

    def add(self, context: int, states: list[int], actions: list[int]) -> bool:
        """Count the steps of an episode, states (H + 1,); returns whether a count has reached a power of two."""
        m, doubled = context if self.memory else 0, False
        for s, a, to in zip(states, actions, states[1:], strict=False):
            self.counts[m, s, a, to] += 1
            n = int(self.counts[m, s, a].sum())
            if n & (n - 1) == 0:
                self.known[m, s, a], self.p[m, s, a], doubled = n, self.counts[m, s, a] / n, True
        return doubled

    def plan(self, bonus: Bonus, scale: float) -> LatentPlan:
        """Plan with the frozen estimates."""
        model = LatentMDP(self.p, self.r, self.horizon, self.weights, self.initial)
        return LatentPlan(model, self.known, bonus, scale)


def learn_latent(
    model: LatentMDP, episodes: int, bonus: Bonus, seed: int, *, scale: float = 1.0, memory: bool = True
) -> dict[str, Any]:
    """Learn by optimism with doubling epochs; regret is exact.

    Args:
        model: The true process.
        episodes: Number of episodes.
        bonus: See `LatentPlan`.
        seed: Seed of the episodes.
        scale: Factor of the bonus.
        memory: Whether plans depend on histories.

    Returns:
        regret (episodes,) cumulative; plans, their number; unclipped, the episodes whose plan was not cut at 1;
        optimistic, those among them whose optimistic value was at least the best one.
    """
    rng, counts = np.random.default_rng(seed), LatentCounts(model, memory)
    best, regret = LatentPlan(model).value, np.empty(episodes)
    plans = unclipped = optimistic = 0
    plan, lost = None, 0.0
    weights, laws = np.cumsum(model.weights), np.cumsum(model.p, axis=-1)
    for k in range(episodes):
        if plan is None:
            plan = counts.plan(bonus, scale)
            lost, plans = best - evaluate_plan(plan, model), plans + 1
        regret[k] = lost
        unclipped += not plan.clipped
        optimistic += not plan.clipped and plan.value >= best - 1e-9
        m = min(int((rng.random() >= weights).sum()), model.num_contexts - 1)
        s = int(rng.choice(model.num_states, p=model.initial[m]))
        states, actions, own = [s], [], plan.model.weights * plan.model.initial[:, s]
        for t in range(model.horizon):
            a = plan.action(t, s, own)
            to = min(int((rng.random() >= laws[m, s, a]).sum()), model.num_states - 1)
            own = plan.follow(own, s, a, to)
            states.append(to)
            actions.append(a)
            s = to
        if counts.add(m, states, actions):
            plan = None
    return {"regret": np.cumsum(regret), "plans": plans, "unclipped": unclipped, "optimistic": optimistic}


@njit(cache=True)
def play_keys(best, base, gap, hoeffding, scale, marks, streams, seed, regret):
    """Play a lock whose encoding is known as one bandit for each context, with frozen counts that double.

    The arms of context m win with probability base, best[m] with base + gap. The index is the empirical mean and the
    bonus of `variance_bonus` with two outcomes, or sqrt(2 scale / n), cut at 1; arms that were never tried have 1.

    Args:
        best: (M,) int64, the keys.
        base: Probability of winning without the key.
        gap: What the key adds.
        hoeffding: Bonus from the range.
        scale: Factor of the bonus.
        marks: (k,) int64, episodes at which the regret is recorded, the last one the end.
        streams: (seeds, 2) uint64.
        seed: Row of streams and of regret.
        regret: (seeds, k), written.
    """
    contexts, arms = best.size, 6
    wins, plays = np.zeros((contexts, arms)), np.zeros((contexts, arms), np.int64)
    index, lost, mark = np.ones((contexts, arms)), 0.0, 0
    for k in range(marks[-1]):
        m = np.int64(uniform(streams, seed) * contexts)
        arm = np.argmax(index[m])
        if arm != best[m]:
            lost += gap
        won = uniform(streams, seed) < base + (gap if arm == best[m] else 0.0)
        wins[m, arm] += won
        plays[m, arm] += 1
        n = plays[m, arm]
        if n & (n - 1) == 0:
            mean = wins[m, arm] / n
            if hoeffding:
                bonus = np.sqrt(2.0 * scale / n)
            else:
                support = 1.0 if mean == 0.0 or mean == 1.0 else 2.0
                bonus = max(np.sqrt(2.0 * support * mean * (1.0 - mean) * scale / n), 2.0 * support * scale / n)
            index[m, arm] = min(1.0, mean + bonus)
        if k + 1 == marks[mark]:
            regret[seed, mark] = lost
            mark += 1
