"""UCB1 (Auer, Cesa-Bianchi and Fischer, 2002)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.agents.spec import require
from envzoo.agents.tabular.arms import ArmLearner
from envzoo.agents.tabular.learning import TabularConfig


@dataclass(frozen=True)
class UCB1Config(TabularConfig):
    """Hyperparameters of UCB1."""

    confidence: float = 2.0
    """Factor c of the bonus sqrt(c ln t / n)."""

    def __post_init__(self):
        super().__post_init__()
        require(self.confidence > 0, f"confidence is positive, got {self.confidence}")


class UCB1(ArmLearner):
    """Upper confidence bounds for bandits with rewards in [0, 1].

        index(a) = mean(a) + sqrt(2 ln t / n(a));  every action is taken once first                    (1)

    Observations are ignored. Source: Auer, Cesa-Bianchi and Fischer, "Finite-time analysis of the multiarmed bandit
    problem", Machine Learning 47, 2002.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/average_reward: mean reward of all pulls so far.
    """

    Config = UCB1Config
    config: UCB1Config

    def index(self, generator: np.random.Generator) -> np.ndarray:
        """Compute (1)."""
        counts = self.policy.counts
        log_t = np.log(np.maximum(counts.sum(axis=1, keepdims=True), 1))
        bonus = np.sqrt(self.config.confidence * log_t / np.maximum(counts, 1))
        return np.where(counts == 0, np.inf, self.means() + bonus)
