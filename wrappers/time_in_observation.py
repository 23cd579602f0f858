"""TimeInObservation: add the number of steps taken to the observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import MOST, check_whole
from envzoo.wrappers.augment_observation import ObservationAugmenter
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker, time_limit


class TimeTracker(Tracker):
    """Step counts of B episodes; see `TimeInObservation` for the arguments and errors."""

    name = "TimeInObservation"

    def __init__(self, space: spaces.Space, num_envs: int, horizon: int | None = None, entry: str = "time") -> None:
        if horizon is None:
            raise EnvzooError("the environment has no max_episode_steps; give horizon, the largest number of steps")
        check_whole("horizon", horizon, 1, MOST - 1)
        self._horizon = int(horizon)
        self._share = isinstance(space, spaces.Box)
        if self._share:
            dtype = space.dtype if space.dtype.kind == "f" else np.float32
            value = spaces.Box(0.0, 1.0, (1,), dtype)
        else:
            value = spaces.MultiDiscrete([self._horizon + 1])
        self._value_dtype = value.dtype
        self._augment = ObservationAugmenter(space, entry, value)
        self.space = self._augment.space
        self.arrays = {"time": np.zeros(num_envs, np.int64)}

    @classmethod
    def defaults(cls, env: Any) -> dict[str, Any]:
        """Take the horizon from the time limit of the environment."""
        return {"horizon": time_limit(env)}

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Set the clocks to 0."""
        self.arrays["time"][where] = 0

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Count the step."""
        self.arrays["time"][where] += 1

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the time."""
        time = np.minimum(self.arrays["time"][rows], self._horizon)[..., None]
        return self._augment(observation, (time / self._horizon if self._share else time).astype(self._value_dtype))


class TimeInObservation(StatefulWrapper):
    """Adds the number of steps taken in the episode to the observation, as finite-horizon problems require.

    A Discrete or MultiDiscrete observation becomes a MultiDiscrete with one more component, the number of steps from 0
    to `horizon`, so that tabular agents still support it. A float vector gains one component, the fraction of the
    horizon from 0 to 1. A Dict gains the entry `time`, a MultiDiscrete of one component; any other observation becomes
    a Dict with the keys `observation` and `time` (a fraction of the horizon for other Boxes). The time is capped at the
    horizon. `VectorTimeInObservation` wraps vector environments. The wrapper supports `get_state` and `set_state` if
    the environment does. (Gymnasium's TimeAwareObservation supports neither, nor vector environments.)

    Args:
        env: The environment.
        horizon: Largest number of steps, None for the environment's time limit.
        entry: Key of the time in the Dict.

    Raises:
        EnvzooError: No horizon is given or known, or the observation already has that entry.
    """

    tracker_class = TimeTracker


class VectorTimeInObservation(StatefulVectorWrapper):
    """Vector version of `TimeInObservation`, with the same arguments."""

    tracker_class = TimeTracker
