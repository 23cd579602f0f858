"""PSRL: posterior sampling for reinforcement learning (Osband et al., 2013, arXiv 1306.0940)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.agents.planners.tabular.finite_horizon import backward_induction
from envzoo.agents.spec import require
from envzoo.agents.tabular.episodic import EpisodicConfig, EpisodicPlanner


@dataclass(frozen=True)
class PSRLConfig(EpisodicConfig):
    """Hyperparameters of PSRL."""

    transition_prior: float = 1.0
    """Parameter of the Dirichlet prior of each next state, and of the end of the episode."""
    reward_mean: float = 0.5
    """Prior mean of a reward."""
    reward_scale: float = 1.0
    """Standard deviation of prior and noise of rewards."""

    def __post_init__(self):
        super().__post_init__()
        require(self.transition_prior > 0, f"transition_prior is positive, got {self.transition_prior}")
        require(self.reward_scale > 0, f"reward_scale is positive, got {self.reward_scale}")


class PSRL(EpisodicPlanner):
    """Posterior sampling: before each episode draw a world from the posterior, and follow its optimal policy.

        P(.|s, a) ~ Dirichlet(prior + counts),  r(s, a) ~ Normal((m + sum of rewards) / (1 + n), scale^2 / (1 + n))  (1)

    The end of an episode counts as one more next state. Source: Osband, Russo and Van Roy, "(More) efficient
    reinforcement learning via posterior sampling", arXiv 1306.0940.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
    """

    Config = PSRLConfig
    config: PSRLConfig

    def plan(self, runs: np.ndarray) -> None:
        """Draw a world for each run by (1), and solve it."""
        c, p, generator = self.config, self.policy, self.streams.numpy("posterior")
        counts = np.concatenate([p.counts[runs], p.ended[runs][..., None]], axis=-1)
        weights = generator.standard_gamma(c.transition_prior + counts)
        law = weights / weights.sum(axis=-1, keepdims=True)
        n = counts.sum(axis=-1)
        mean = (c.reward_mean + p.rewards[runs]) / (1 + n)
        reward = mean + c.reward_scale / np.sqrt(1 + n) * generator.standard_normal(mean.shape)
        p.actions[runs] = backward_induction(law[..., :-1], reward, self.horizon).first
