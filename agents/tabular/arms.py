"""Base of the bandit algorithms that see no state: counts and sums of each action."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from envzoo.agents.loops.experience import Step
from envzoo.agents.tabular.learning import TabularAgent, pick_best
from envzoo.errors import EnvzooError


class ArmLearner(TabularAgent):
    """Base of learners of the mean reward of each action, in [0, 1], whatever the observation.

    A subclass implements `index`; the action with the largest index is taken.
    """

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return numbers of pulls and sums of rewards."""
        return {"counts": np.zeros((runs, self.actions), np.int64), "sums": np.zeros((runs, self.actions))}

    @abstractmethod
    def index(self, generator: np.random.Generator) -> np.ndarray:
        """Compute the index (R, A) of every action."""

    def act(self, states: np.ndarray) -> np.ndarray:
        """Take the action with the largest index."""
        generator = self.streams.numpy("actions")
        return pick_best(self.index(generator), generator)

    def learn_step(self, states: np.ndarray, chosen: np.ndarray, step: Step, following: np.ndarray) -> None:
        """Count the pull; raises EnvzooError for a reward outside [0, 1]."""
        paid = step.reward[step.valid]
        if paid.size and not (paid.min() >= 0 and paid.max() <= 1):
            worst = paid[np.abs(paid - 0.5).argmax()]
            raise EnvzooError(f"an action paid {worst:g}; {self.spec.name} expects rewards from 0 to 1")
        at = (np.flatnonzero(step.valid), chosen[step.valid])
        self.policy.counts[at] += 1
        self.policy.sums[at] += self.rewarded(paid)

    def rewarded(self, paid: np.ndarray) -> np.ndarray:
        """Return what is added to the sums for rewards (n,)."""
        return paid

    def means(self) -> np.ndarray:
        """Return the mean rewards (R, A), 0 for actions that were never taken."""
        return self.policy.sums / np.maximum(self.policy.counts, 1)

    def choose(self, states: np.ndarray, runs: np.ndarray, time: np.ndarray, deterministic: bool) -> np.ndarray:
        """Take the action with the best mean, or the one with the largest index."""
        generator = self.streams.numpy("predict")
        values = self.means()[runs] if deterministic else self.index(generator)[runs]
        return pick_best(values, None if deterministic else generator)

    def metrics(self) -> dict[str, float]:
        """Report the mean reward of all pulls so far."""
        p = self.policy
        return {"learner/average_reward": float(p.sums.sum() / max(p.counts.sum(), 1))}
