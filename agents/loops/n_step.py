"""Transitions over several steps: the rewards of n steps as one, and the observation that they led to."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from envzoo.agents.state_holder import StateHolder


class Transitions(NamedTuple):
    """M transitions over up to n steps.

    Attributes:
        observation: (M, P).
        action: (M,) or (M, D).
        reward: (M,) float32, the sum of gamma^k r_k over the steps.
        terminated: (M,) float32, 1 - c, where gamma^n c is the factor of the value of the next observation: 1 after a
            termination, 0 after n steps, and 1 - gamma^(m - n) where a truncation ended the episode after m < n steps.
        next_observation: (M, P), the observation after the last step.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    next_observation: np.ndarray


class NStepWindow(StateHolder):
    """The last n steps of B environments, from which transitions over n steps are made.

    A step gives the transition that begins n - 1 steps earlier. At the end of an episode it also gives the shorter ones
    that begin later, so that every step begins exactly one transition.

    Args:
        n: Number of steps, at least 1.
        gamma: Discount factor, above 0.
        observation: The current observations (B, P); only their shape and dtype are used.
        action: Actions (B,) or (B, D); likewise.
    """

    def __init__(self, n: int, gamma: float, observation: np.ndarray, action: np.ndarray):
        super().__init__(
            observation=np.zeros((n, *observation.shape), observation.dtype),
            action=np.zeros((n, *action.shape), action.dtype),
            reward=np.zeros((n, len(observation))),
            count=np.zeros(len(observation), np.int64),
        )
        self._n, self._gamma = n, gamma

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the window."""
        return {name: value for name, value in super().state_dict().items() if not name.startswith("_")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a window; see `StateHolder`. Raises ValueError for counts outside 0 to n as well."""
        super().load_state_dict({**state, "_n": self._n, "_gamma": self._gamma})
        if not ((self.count >= 0) & (self.count <= self._n)).all():
            raise ValueError("the counts of a window of steps lie between 0 and their largest number")

    def add(
        self,
        observation: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        done: np.ndarray,
        next_observation: np.ndarray,
        start: np.ndarray,
        valid: np.ndarray,
    ) -> Transitions:
        """Add one step of all environments; returns the transitions that are complete, the oldest first.

        Args:
            observation: (B, P) packed, at which the actions were taken.
            action: (B,) or (B, D).
            reward: (B,).
            terminated: (B,) bool.
            done: (B,) bool, terminated or truncated.
            next_observation: (B, P) packed, the true next observation.
            start: (B,) bool, which `observation`s opened an episode: steps before them are dropped.
            valid: (B,) bool; the others are steps in which an environment reset itself.
        """
        self.count[start] = 0
        rows = np.flatnonzero(valid)
        for window, newest in ((self.observation, observation), (self.action, action), (self.reward, reward)):
            window[1:, rows] = window[:-1, rows]
            window[0, rows] = newest[rows]
        self.count[rows] = np.minimum(self.count[rows] + 1, self._n)
        ages = np.arange(1, self._n)
        within = ages[:, None] < self.count[rows]
        self.reward[1:, rows] += np.where(within, self._gamma ** ages[:, None] * reward[rows], 0.0)
        begun = np.arange(self._n)[:, None] < self.count[rows]
        begun[: self._n - 1] &= done[rows]
        age, chosen = np.nonzero(begun[::-1])
        age, chosen = self._n - 1 - age, rows[chosen]
        weight = np.where(terminated[chosen], 0.0, self._gamma ** (age + 1.0 - self._n))
        self.count[rows[done[rows]]] = 0
        return Transitions(
            self.observation[age, chosen],
            self.action[age, chosen],
            self.reward[age, chosen].astype(np.float32),
            (1.0 - weight).astype(np.float32),
            next_observation[chosen],
        )
