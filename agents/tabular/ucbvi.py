"""UCBVI: optimistic value iteration with exploration bonuses (Azar et al., 2017, arXiv 1703.05449)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from envzoo.agents.spec import require
from envzoo.agents.tabular.episodic import EpisodicConfig, EpisodicPlanner


@dataclass(frozen=True)
class UCBVIConfig(EpisodicConfig):
    """Hyperparameters of UCBVI."""

    bonus: Literal["hoeffding", "bernstein"] = "hoeffding"
    """Bonus from the range of the values, or from their variance under the empirical law."""
    scale: float = 1.0
    """Factor of the bonus. The theory's constants (7 for Hoeffding) learn nothing within thousands of episodes."""
    delta: float = 0.1
    """Probability with which the confidence bounds may fail."""

    def __post_init__(self):
        super().__post_init__()
        require(self.scale >= 0, f"scale is at least 0, got {self.scale}")
        require(0 < self.delta < 1, f"delta lies in (0, 1), got {self.delta}")


@njit(cache=True)
def optimistic_plan(counts, ended, rewards, log_term, scale, bernstein, plan, q, v):
    """Write the optimistic plan of one run by backward induction.

    Args:
        counts: (S, A, S) int64 transitions that went on.
        ended: (S, A) int64 transitions that ended the episode.
        rewards: (S, A) sums of rewards in [0, 1].
        log_term: L in the bonus.
        scale: Factor of the bonus.
        bernstein: Whether the bonus depends on the variance of the next value.
        plan: (H, S) int64, written.
        q: (S, A) float64, written: optimistic values of the first step.
        v: (H + 1, S) float64, written; the last row is 0.
    """
    horizon, states = plan.shape
    actions = ended.shape[1]
    v[horizon] = 0.0
    for h in range(horizon - 1, -1, -1):
        left = float(horizon - h)
        for s in range(states):
            best = -1.0
            for a in range(actions):
                n = ended[s, a]
                mean, square = 0.0, 0.0
                for t in range(states):
                    c = counts[s, a, t]
                    if c > 0:
                        n += c
                        mean += c * v[h + 1, t]
                        square += c * v[h + 1, t] * v[h + 1, t]
                value = left
                if n > 0:
                    mean, square = mean / n, square / n
                    if bernstein:
                        spread = math.sqrt(max(0.0, square - mean * mean) + 0.25)
                        bonus = scale * (spread * math.sqrt(2.0 * log_term / n) + left * log_term / (3.0 * n))
                    else:
                        bonus = scale * left * math.sqrt(log_term / (2.0 * n))
                    value = min(left, rewards[s, a] / n + mean + bonus)
                q[s, a] = value
                if value > best:
                    best = value
                    plan[h, s] = a
            v[h, s] = best


class UCBVI(EpisodicPlanner):
    """Optimistic value iteration for episodic worlds with rewards in [0, 1].

        Q_h(s, a) = min{ H - h, r(s, a) + sum_s' P(s'|s, a) V_{h+1}(s') + b(s, a) },  V_h = max_a Q_h       (1)
        b(s, a) = scale (H - h) sqrt(L / (2 n)),  L = ln(2 S A H k / delta)                                 (2)

    r and P are empirical means over n visits, k the number of the episode, h counts from 0. With
    `bonus="bernstein"`, (2) has the standard deviation of V_{h+1} in place of its range, and a term in 1 / n. The
    transitions do not depend on the step, so visits at all steps are counted together. Source: Azar, Osband and Munos,
    "Minimax regret bounds for reinforcement learning", arXiv 1703.05449; constants are practical ones.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/optimistic_value: mean over runs of the last plan's value, averaged over states.
    """

    Config = UCBVIConfig
    config: UCBVIConfig

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return the counts, and the optimistic value of each run."""
        return super().tables(runs) | {"value": np.zeros(runs)}

    def plan(self, runs: np.ndarray) -> None:
        """Plan optimistically by equation (1)."""
        c, p, h = self.config, self.policy, self.horizon
        q, v = np.empty((self.states, self.actions)), np.empty((h + 1, self.states))
        for run in runs:
            episode = max(1, int(p.episodes[run]) + 1)
            log_term = math.log(2 * self.states * self.actions * h * episode / c.delta)
            bernstein = c.bonus == "bernstein"
            optimistic_plan(
                p.counts[run], p.ended[run], p.rewards[run], log_term, c.scale, bernstein, p.actions[run], q, v
            )
            p.value[run] = v[0].mean()

    def metrics(self) -> dict[str, float]:
        """Report the optimistic value."""
        return {"learner/optimistic_value": float(self.policy.value.mean())}
