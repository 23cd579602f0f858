"""RewardPerturbation: add a small reward that depends on where the step led (arXiv 2507.20150)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError, UnknownNameError, shorten
from envzoo.kernel.arguments import check_number
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker


class PerturbationTracker(Tracker):
    """Rewards to add in B episodes; see `RewardPerturbation` for the arguments and errors."""

    name = "RewardPerturbation"

    def __init__(
        self,
        space: spaces.Space,
        num_envs: int,
        eps: float,
        direction: Sequence[float],
        key: str | None = None,
    ) -> None:
        self._eps = check_number("eps", eps, -1e6, 1e6)
        try:
            self._direction = np.array(direction, np.float64)
        except (TypeError, ValueError):
            self._direction = np.empty(0)
        size = None
        if key is not None and not isinstance(key, str):
            raise EnvzooError(f"key is {shorten(repr(key))}; expected a key of info, or None for the observation")
        if key is None:
            if not isinstance(space, spaces.Discrete):
                raise EnvzooError(f"the observation space is {space}; expected Discrete, or a key of info to read")
            size, self._first = int(space.n), int(space.start)
        d = self._direction
        if d.ndim != 1 or not d.size or not np.isfinite(d).all() or (size is not None and d.size != size):
            raise EnvzooError(f"direction has the shape {d.shape}; expected {size or 'some'} finite numbers")
        self._key, self.info_keys = key, () if key is None else (key,)
        self.space, self.arrays = space, {"added": np.zeros(num_envs)}

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Nothing is added to a reset."""
        self.arrays["added"][where] = 0.0

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Look up what the step adds."""
        if self._key is None:
            index = np.asarray(observation, np.int64) - self._first
        else:
            if self._key not in infos:
                raise UnknownNameError(f"info has no {self._key!r} for RewardPerturbation to read")
            given = np.asarray(infos[self._key])
            whole = given.shape == where.shape and given.dtype.kind in "iubf" and np.isfinite(given[where]).all()
            index = np.where(where, given, 0).astype(np.int64) if whole else given
            if not whole or (where & ((index != given) | (index >= self._direction.size))).any():
                raise EnvzooError(
                    f"info[{self._key!r}] is no number from 0 to {self._direction.size - 1}, or below 0 for nothing"
                )
        known = where & (index >= 0)
        added = self._direction[np.where(known, index, 0)] * self._eps
        self.arrays["added"][:] = np.where(known, added, 0.0)

    def reward(self, where: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """Add it."""
        return rewards + self.arrays["added"]


class RewardPerturbation(StatefulWrapper):
    """Adds eps * direction[i] to the reward, where i is what a step led to.

    The smallest change of a reward can flip an optimal policy where actions tie; this wrapper makes such a change, or
    a tie-breaker. i is the Discrete observation that the step led to, or with `key` the whole number in `info[key]`;
    negative numbers add nothing. `VectorRewardPerturbation` wraps vector environments. (A reward for actions is a
    change of the model: `TabularEnv` of a `FiniteMDP` with another r.)

    Args:
        env: The environment.
        eps: Size of the perturbation.
        direction: (n,) numbers, one for each value of i.
        key: Key of `info`; None for the observation.

    Raises:
        EnvzooError: The direction does not fit the space, or at a step a number of `info` is out of range.
        UnknownNameError: At a step, `info` has no entry `key`.
    """

    tracker_class = PerturbationTracker


class VectorRewardPerturbation(StatefulVectorWrapper):
    """Vector version of `RewardPerturbation`, with the same arguments."""

    tracker_class = PerturbationTracker
