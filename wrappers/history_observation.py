"""HistoryObservation: show in the observation which elements were visited last, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.kernel.arguments import check_whole
from envzoo.wrappers.augment_observation import Joiner
from envzoo.wrappers.stateful import Tracker, TrackingWrapper, VectorTrackingWrapper
from envzoo.wrappers.visited_elements import ElementReader, Key


class HistoryTracker(Tracker):
    """The latest elements of B episodes; see `HistoryObservation` for the arguments and errors."""

    name = "HistoryObservation"

    def __init__(
        self,
        space: spaces.Space,
        num_envs: int,
        length: int,
        key: Key = None,
        discretiser: Callable[[np.ndarray], np.ndarray] | None = None,
        size: int | None = None,
        replace: bool = False,
        entry: str = "history",
    ) -> None:
        check_whole("length", length, 1)
        self._reader = ElementReader(space, key, discretiser, size)
        self.info_keys = self._reader.info_keys
        value = spaces.Box(-1, self._reader.size - 1, (int(length),), np.int64)
        self._join = None if replace else Joiner(space, entry, value)
        self.space = value if replace else self._join.space
        self.arrays = {
            "history": np.full((num_envs, int(length)), -1, np.int64),
            "count": np.zeros(num_envs, np.int64),
        }

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Forget what was before."""
        elements = self._reader.read(observation, infos, where)
        self.arrays["history"][where] = -1
        self.arrays["history"][where, 0] = elements[where]
        self.arrays["count"][where] = 1

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Append the visited elements; where there is no room, drop the oldest."""
        elements = self._reader.read(observation, infos, where)
        history, count = self.arrays["history"], self.arrays["count"]
        full = where & (count == history.shape[1])
        history[full, :-1] = history[full, 1:]
        count[where & ~full] += 1
        history[where, count[where] - 1] = elements[where]

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the history, or put it in place of the observation."""
        history = self.arrays["history"][rows].copy()
        return history if self._join is None else self._join(observation, history)


class HistoryObservation(TrackingWrapper):
    """Adds the elements visited last to the observation, oldest first and the present one last, padded with -1.

    With a length of at least the number of steps, component t is where the episode was at step t: the input of the
    history-dependent policies of submodular reinforcement learning (arXiv 2307.13372), which see nothing else
    (`replace=True`). A Dict observation gets the entry `history`, a `Box` of integers from -1 to size - 1; any other
    becomes the Dict of `observation` and `history`. `VectorHistoryObservation` does the same to a vector environment.
    Where the environment has `get_state` and `set_state`, the wrapper has them too.

    Args:
        env: The environment.
        length: Number of elements shown.
        key: Where the element stands; see `envzoo.wrappers.visited_elements.ElementReader`.
        discretiser: Turns positions (B, d) into elements (B,); see `GridDiscretiser`.
        size: Number of elements, None to take that of the space or the discretiser.
        replace: Whether the history takes the place of the observation.
        entry: Name of the history in the Dict.

    Raises:
        UnknownNameError: The observation has no entry `key`; or, at a reset or step, info has none.
        UnsupportedSpaceError: What stands at `key` are not integers, and no discretiser is given.
        EnvzooError: The length or size is not usable; at a reset or step, an element is out of range.
    """

    tracker_class = HistoryTracker


class VectorHistoryObservation(VectorTrackingWrapper):
    """The vector face of `HistoryObservation`, with the same arguments."""

    tracker_class = HistoryTracker
