"""SARSA (Rummery and Niranjan, 1994) and Expected SARSA (van Seijen et al., 2009)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.agents.loops.experience import Step
from envzoo.agents.tabular.q_learning import QLearning, QLearningConfig


@dataclass(frozen=True)
class SARSAConfig(QLearningConfig):
    """Hyperparameters of SARSA."""

    expected: bool = False
    """Take the mean over the next action in place of the action that is taken (Expected SARSA)."""


class SARSA(QLearning):
    """On-policy temporal differences with an epsilon-greedy policy.

        Q(s, a) <- Q(s, a) + rate * (r + gamma Q(s', a') - Q(s, a))                                   (1)

    a' is the action that the policy takes next; with `expected` the mean of Q(s', .) under the policy takes its place.
    Sources: Rummery and Niranjan, 1994; van Seijen et al., 2009.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/td_error: mean absolute temporal-difference error of the last step.
        learner/epsilon: present probability of a random action.
    """

    Config = SARSAConfig
    config: SARSAConfig

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return action values, visits, and the action chosen for the present state (-1 for none)."""
        return super().tables(runs) | {"following": np.full(runs, -1, np.int64)}

    def act(self, states: np.ndarray) -> np.ndarray:
        """Take the action that the last update chose; at the start of an episode a new one."""
        planned = np.where(self.experience.start, -1, self.policy.following)
        # A file may hold any number; the range is what indexing needs.
        planned = np.where(planned < self.actions, planned, -1)
        fresh = super().act(states)
        return np.where(planned < 0, fresh, planned)

    def learn_step(self, states: np.ndarray, chosen: np.ndarray, step: Step, following: np.ndarray) -> None:
        """Choose the next action and apply equation (1)."""
        runs, epsilon = np.arange(self.num_runs), self.epsilon()
        values = self.policy.q[runs, following]
        planned = self._explore(values, self.streams.numpy("actions"), epsilon)
        if self.config.expected:
            ties = values == values.max(axis=1, keepdims=True)
            greedy = (values * ties).sum(axis=1) / ties.sum(axis=1)
            after = epsilon * values.mean(axis=1) + (1 - epsilon) * greedy
        else:
            after = values[runs, planned]
        target = step.reward + self.config.gamma * np.where(step.terminated, 0.0, after)
        self._update(states, chosen, target, step.valid)
        self.policy.following[:] = np.where(step.done | ~step.valid, -1, planned)
