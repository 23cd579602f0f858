"""LossSchedule: let an adversary choose the losses of each episode (arXiv 2301.12942)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError, UnknownNameError, shorten
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker


class ScheduleTracker(Tracker):
    """Episode counters of B episodes; see `LossSchedule` for the arguments and errors."""

    name = "LossSchedule"

    def __init__(self, space: spaces.Space, num_envs: int, weights: Any, key: str = "losses") -> None:
        try:
            table = np.array(weights, np.float64)
        except (TypeError, ValueError):
            table = np.empty(0)
        if table.ndim != 2 or 0 in table.shape or not np.isfinite(table).all():
            raise EnvzooError(f"weights have the shape {table.shape}; expected (K, T) finite numbers")
        if not isinstance(key, str):
            raise EnvzooError(f"key is {shorten(repr(key))}; expected a key of info")
        self._weights, self._key, self.info_keys = table, key, (key,)
        self.space, self.arrays = space, {"number": np.full(num_envs, -1, np.int64)}

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Count the episode."""
        self.arrays["number"][where] += 1

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> np.ndarray:
        """Charge the losses of the episode."""
        if self._key not in infos:
            raise UnknownNameError(f"info has no {self._key!r} for LossSchedule to read")
        parts = np.asarray(infos[self._key])
        if parts.dtype.kind not in "iubf":
            raise EnvzooError(f"info[{self._key!r}] holds no numbers for LossSchedule to weigh")
        parts = parts[:, None] if parts.ndim == 1 else parts
        count = self._weights.shape[1]
        if parts.shape != (where.size, count):
            raise EnvzooError(f"info[{self._key!r}] has the shape {parts.shape}; expected {(where.size, count)}")
        weights = self._weights[self.arrays["number"] % len(self._weights)]
        return np.where(where, -(weights * parts).sum(axis=1), 0.0)

    def infos(self) -> dict[str, np.ndarray]:
        """Return the number of the episode."""
        return {"scheduled_episode": self.arrays["number"].copy()}


class LossSchedule(StatefulWrapper):
    """Charges in episode k the losses sum_t w_kt L_t: an adversary that was fixed beforehand.

    L_t are the entries of `info["losses"]` (one number is one entry), what each of T tables of losses charges for the
    step; the reward becomes minus the sum. After K episodes the schedule begins anew. `info["scheduled_episode"]` is
    the number of the episode since the wrapper was made. `VectorLossSchedule` wraps vector environments, in which every
    environment counts its own episodes.

    ```python
    env = LossSchedule(gym.make("envzoo/AdversarialLinearMDP-v0"), [[1.0, 0.0], [0.0, 1.0]])  # in turns
    ```

    Args:
        env: The environment.
        weights: (K, T) weights of the tables in each episode.
        key: Key of the losses in `info`.

    Raises:
        EnvzooError: The weights are not usable, or at a step do not fit what `info` holds.
        UnknownNameError: At a step, `info` lacks the entry.
    """

    tracker_class = ScheduleTracker


class VectorLossSchedule(StatefulVectorWrapper):
    """Vector version of `LossSchedule`, with the same arguments."""

    tracker_class = ScheduleTracker
