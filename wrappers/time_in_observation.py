"""TimeInObservation: show in the observation how many steps have been made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import MOST, check_whole
from envzoo.wrappers.augment_observation import Joiner
from envzoo.wrappers.stateful import Tracker, TrackingWrapper, VectorTrackingWrapper, time_limit


class TimeTracker(Tracker):
    """The steps of B episodes; see `TimeInObservation` for the arguments and errors."""

    name = "TimeInObservation"

    def __init__(self, space: spaces.Space, num_envs: int, horizon: int | None = None, entry: str = "time") -> None:
        if horizon is None:
            raise EnvzooError("the environment states no max_episode_steps; give horizon, the largest number of steps")
        check_whole("horizon", horizon, 1, MOST - 1)
        self._horizon = int(horizon)
        self._share = isinstance(space, spaces.Box)
        if self._share:
            dtype = space.dtype if space.dtype.kind == "f" else np.float32
            value = spaces.Box(0.0, 1.0, (1,), dtype)
        else:
            value = spaces.MultiDiscrete([self._horizon + 1])
        self._value_dtype = value.dtype
        self._join = Joiner(space, entry, value)
        self.space = self._join.space
        self.arrays = {"time": np.zeros(num_envs, np.int64)}

    @classmethod
    def defaults(cls, env: Any) -> dict[str, Any]:
        """The environment's own time limit."""
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
        return self._join(observation, (time / self._horizon if self._share else time).astype(self._value_dtype))


class TimeInObservation(TrackingWrapper):
    """Adds the number of steps made to the observation, which problems with a finite horizon need.

    A Discrete or MultiDiscrete observation becomes a MultiDiscrete with one more component, the number of steps from
    0 to `horizon`, so that tables still take it. A vector of floats gets one more component, the share of the horizon
    from 0 to 1. A Dict gets the entry `time`, a MultiDiscrete of one component; any other observation becomes the Dict
    of `observation` and `time` (a share of the horizon for other Boxes). Beyond the horizon the time stands still.
    `VectorTimeInObservation` does the same to a vector environment. Where the environment has `get_state` and
    `set_state`, the wrapper has them too. (Gymnasium's TimeAwareObservation has neither, nor a vector face.)

    Args:
        env: The environment.
        horizon: Largest number of steps, None for the environment's time limit.
        entry: Name of the time in the Dict.

    Raises:
        EnvzooError: No horizon is given or known, or the name is taken.
    """

    tracker_class = TimeTracker


class VectorTimeInObservation(VectorTrackingWrapper):
    """The vector face of `TimeInObservation`, with the same arguments."""

    tracker_class = TimeTracker
