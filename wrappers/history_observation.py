"""HistoryObservation: add the most recently visited elements to the observation, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.kernel.arguments import check_whole
from envzoo.wrappers.augment_observation import ObservationAugmenter
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker
from envzoo.wrappers.visited_elements import ElementReader, Key


class HistoryTracker(Tracker):
    """Tracker of the latest elements of B episodes; see `HistoryObservation` for the arguments and errors."""

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
        self._augment = None if replace else ObservationAugmenter(space, entry, value)
        self.space = value if replace else self._augment.space
        self.arrays = {
            "history": np.full((num_envs, int(length)), -1, np.int64),
            "count": np.zeros(num_envs, np.int64),
        }

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Clear the history."""
        elements = self._reader.read(observation, infos, where)
        self.arrays["history"][where] = -1
        self.arrays["history"][where, 0] = elements[where]
        self.arrays["count"][where] = 1

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Append the visited elements; drop the oldest when the history is full."""
        elements = self._reader.read(observation, infos, where)
        history, count = self.arrays["history"], self.arrays["count"]
        full = where & (count == history.shape[1])
        history[full, :-1] = history[full, 1:]
        count[where & ~full] += 1
        history[where, count[where] - 1] = elements[where]

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the history to the observation, or replace the observation with it."""
        history = self.arrays["history"][rows].copy()
        return history if self._augment is None else self._augment(observation, history)


class HistoryObservation(StatefulWrapper):
    """Adds the most recently visited elements to the observation, oldest first, left-padded with -1.

    If the length is at least the number of steps, component t is the element visited at step t. This is the input of
    the history-dependent policies of submodular reinforcement learning (arXiv 2307.13372), which observe nothing else
    (`replace=True`). A Dict observation gains the entry `history`, a `Box` of integers from -1 to size - 1; any other
    observation becomes a Dict with the keys `observation` and `history`. `VectorHistoryObservation` wraps vector
    environments. The wrapper supports `get_state` and `set_state` if the environment does.

    Args:
        env: The environment.
        length: Number of elements shown.
        key: Where to read the element; see `envzoo.wrappers.visited_elements.ElementReader`.
        discretiser: Maps positions (B, d) to elements (B,); see `GridDiscretiser`.
        size: Number of elements, None to take that of the space or the discretiser.
        replace: Whether the history replaces the observation.
        entry: Key of the history in the Dict.

    Raises:
        UnknownNameError: The observation has no entry `key`; or, at a reset or step, `info` has none.
        UnsupportedSpaceError: The values at `key` are not integers, and no discretiser is given.
        EnvzooError: The length or size is invalid; or, at a reset or step, an element is out of range.
    """

    tracker_class = HistoryTracker


class VectorHistoryObservation(StatefulVectorWrapper):
    """Vector version of `HistoryObservation`, with the same arguments."""

    tracker_class = HistoryTracker
