"""Preferences between whole trajectories: features of each trajectory, and probabilities that one beats another.

A preference function first reduces a trajectory to a few numbers, its features; comparisons are array operations on
these. So a queue of past trajectories is an array, and B trajectories are compared with n others in one call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number
from envzoo.preference.games import ROUNDING, read_game


class Trajectories(NamedTuple):
    """B complete episodes, padded to T steps.

    Attributes:
        observation: (T + 1, B, P), packed observations, one more than actions; undefined after the end.
        action: (T, B) or (T, B, D).
        reward: (T, B), 0 after the end.
        length: (B,) int64, number of steps.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    length: np.ndarray

    @property
    def running(self) -> np.ndarray:
        """(T, B) bool: which steps were taken."""
        return np.arange(len(self.action))[:, None] < self.length

    @property
    def final(self) -> np.ndarray:
        """(B, P): the observations in which the episodes ended."""
        return self.observation[self.length, np.arange(self.length.size)]


class Preference(ABC):
    """A preference function. Its win probabilities satisfy p(a, b) + p(b, a) = 1, so that p(a, a) = 1/2."""

    @abstractmethod
    def features(self, trajectories: Trajectories) -> np.ndarray:
        """Compute the features (B, F) float64 of trajectories."""

    @abstractmethod
    def win_probability(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Compute the probabilities (n, m) that trajectories with features (n, F) beat those with features (m, F)."""


class MatrixPreference(Preference):
    """Preference between the arms of a game, for episodes of one discrete action.

    Args:
        game: Antisymmetric (K, K), see `envzoo.preference.games`.
    """

    def __init__(self, game: Any):
        self.win = (1 + read_game(game)) / 2

    def features(self, trajectories: Trajectories) -> np.ndarray:
        """Return the action of each episode, (B, 1)."""
        return trajectories.action[0].reshape(-1, 1).astype(np.float64)

    def win_probability(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Look the pairs up."""
        return self.win[first[:, 0].astype(np.int64)[:, None], second[:, 0].astype(np.int64)]


class ReturnPreference(Preference):
    """Prefer the larger return.

    Args:
        temperature: The win probability is sigmoid(difference / temperature); 0 for certainty.
        flip: Probability that a label is turned around, below 1/2.
    """

    def __init__(self, temperature: float = 0.0, flip: float = 0.0):
        self.temperature = check_number("temperature", temperature, 0.0)
        self.flip = check_number("flip", flip, 0.0, 0.5)

    def features(self, trajectories: Trajectories) -> np.ndarray:
        """Return the return of each episode, (B, 1)."""
        return np.where(trajectories.running, trajectories.reward, 0.0).sum(0, dtype=np.float64)[:, None]

    def win_probability(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Compare returns."""
        difference = first[:, :1] - second[:, 0]
        if self.temperature:
            certain = 0.5 + 0.5 * np.tanh(difference / (2 * self.temperature))
        else:
            certain = 0.5 + 0.5 * np.sign(difference)
        return self.flip + (1 - 2 * self.flip) * certain


class ScorePreference(Preference):
    """Prefer the larger lexicographic score of a user's function.

    Args:
        score: Function from `Trajectories` to scores (B,) or (B, F), the first column counting most.
    """

    def __init__(self, score: Callable[[Trajectories], np.ndarray]):
        self.score = score

    def features(self, trajectories: Trajectories) -> np.ndarray:
        """Return the scores, (B, F)."""
        found = np.asarray(self.score(trajectories), np.float64)
        return found.reshape(len(found), -1)

    def win_probability(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Compare the first columns that differ."""
        sign = np.sign(first[:, None] - second[None])
        column = (sign != 0).argmax(-1)
        return 0.5 + 0.5 * np.take_along_axis(sign, column[..., None], -1)[..., 0]


class SectorPreference(Preference):
    """Cyclic preference: an episode that ends in sector i of three beats those that end in sector i + 1 (mod 3).

    The sectors are the angles [0, 120), [120, 240) and [240, 360) degrees of the first two coordinates of the final
    observation. Episodes of one sector are equally good.
    """

    def features(self, trajectories: Trajectories) -> np.ndarray:
        """Return the sector in which each episode ends, (B, 1)."""
        return sectors(trajectories.final[:, 0], trajectories.final[:, 1]).astype(np.float64)[:, None]

    def win_probability(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Compare sectors."""
        ahead = (second[:, 0] - first[:, :1]) % 3
        return np.where(ahead == 0, 0.5, np.where(ahead == 1, 1.0, 0.0))


class FeasiblePreference(ScorePreference):
    """Preference that no reward of single states expresses: stay left at first, then end far to the right.

    An episode is feasible if the first coordinate of its observations stays at or below `limit` until `share` of its
    steps are taken. A feasible episode beats an infeasible one; of two feasible ones the larger final coordinate wins;
    of two infeasible ones the smaller violation.
    """

    def __init__(self, limit: float = 0.4, share: float = 0.75):
        super().__init__(self._score)
        self.limit, self.share = limit, share

    def violation(self, trajectories: Trajectories) -> np.ndarray:
        """Compute by how much each episode exceeds the limit, (B,)."""
        steps = np.arange(len(trajectories.observation))[:, None]
        early = steps <= np.floor(self.share * trajectories.length)
        most = np.where(early, trajectories.observation[..., 0], -np.inf).max(0)
        return np.maximum(most - self.limit, 0.0)

    def _score(self, trajectories: Trajectories) -> np.ndarray:
        violation = self.violation(trajectories)
        return np.stack([-violation, np.where(violation > 0, 0.0, trajectories.final[:, 0])], axis=1)


def sectors(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sector 0, 1 or 2 of 120 degrees in which points lie, int64."""
    angle = np.arctan2(np.asarray(y, np.float64), np.asarray(x, np.float64)) % (2 * np.pi)
    return np.minimum((angle // (2 * np.pi / 3)).astype(np.int64), 2)


def check_antisymmetric(preference: Preference, features: np.ndarray) -> None:
    """Raise EnvzooError, naming the pair, unless p(a, b) + p(b, a) = 1 for all pairs of features (n, F)."""
    win = np.asarray(preference.win_probability(features, features), np.float64)
    n = len(features)
    if win.shape != (n, n):
        raise EnvzooError(f"the preference gave an array {win.shape} for {n} trajectories; expected {(n, n)}")
    bad = ~((win >= -ROUNDING) & (win <= 1 + ROUNDING)) | ~(np.abs(win + win.T - 1) <= ROUNDING)
    if bad.any():
        i, j = map(int, np.argwhere(bad)[0])
        raise EnvzooError(
            f"the preference is not antisymmetric: trajectory {i} beats trajectory {j} with probability {win[i, j]:g}, "
            f"and {j} beats {i} with {win[j, i]:g}; expected probabilities that add up to 1"
        )
