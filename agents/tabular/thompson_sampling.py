"""Thompson sampling for bandits (Thompson, 1933; Agrawal and Goyal, 2012, arXiv 1111.1797)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.agents.spec import require
from envzoo.agents.tabular.arms import ArmLearner
from envzoo.agents.tabular.learning import TabularConfig


@dataclass(frozen=True)
class ThompsonSamplingConfig(TabularConfig):
    """Hyperparameters of ThompsonSampling."""

    prior_successes: float = 1.0
    """First parameter of the Beta prior."""
    prior_failures: float = 1.0
    """Second parameter of the Beta prior."""

    def __post_init__(self):
        super().__post_init__()
        require(self.prior_successes > 0, f"prior_successes is positive, got {self.prior_successes}")
        require(self.prior_failures > 0, f"prior_failures is positive, got {self.prior_failures}")


class ThompsonSampling(ArmLearner):
    """Thompson sampling with Beta posteriors.

        index(a) ~ Beta(prior_successes + sum(a), prior_failures + n(a) - sum(a))                      (1)

    A reward r in (0, 1) counts as a coin that falls 1 with probability r, as in Agrawal and Goyal's reduction.
    Observations are ignored. Source: Agrawal and Goyal, arXiv 1111.1797.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/average_reward: mean reward of all pulls so far.
    """

    Config = ThompsonSamplingConfig
    config: ThompsonSamplingConfig

    def rewarded(self, paid: np.ndarray) -> np.ndarray:
        """Throw the coin of every reward."""
        return (self.streams.numpy("coins").random(len(paid)) < paid).astype(np.float64)

    def index(self, generator: np.random.Generator) -> np.ndarray:
        """Draw (1)."""
        c, p = self.config, self.policy
        return generator.beta(c.prior_successes + p.sums, c.prior_failures + p.counts - p.sums)
