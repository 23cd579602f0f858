"""VisitationMask: add a mask of the visited elements to the observation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_shape
from envzoo.wrappers.augment_observation import ObservationAugmenter
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker
from envzoo.wrappers.visited_elements import ElementReader, Key


class MaskTracker(Tracker):
    """Visited elements of B episodes; see `VisitationMask` for the arguments and errors."""

    name = "VisitationMask"

    def __init__(
        self,
        space: spaces.Space,
        num_envs: int,
        key: Key = None,
        discretiser: Callable[[np.ndarray], np.ndarray] | None = None,
        size: int | None = None,
        shape: Sequence[int] | None = None,
        entry: str = "visited",
    ) -> None:
        self._reader = ElementReader(space, key, discretiser, size)
        self.info_keys = self._reader.info_keys
        shape = (self._reader.size,) if shape is None else check_shape("shape", shape)
        if math.prod(shape) != self._reader.size:
            raise EnvzooError(f"shape {shape} does not hold the {self._reader.size} elements; expected as many cells")
        self._augment = ObservationAugmenter(space, entry, spaces.MultiBinary(shape))
        self.space = self._augment.space
        self._shape = shape
        self.arrays = {"visited": np.zeros((num_envs, self._reader.size), np.int8)}

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Clear the masks."""
        elements = self._reader.read(observation, infos, where)
        self.arrays["visited"][where] = 0
        self.arrays["visited"][where, elements[where]] = 1

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Mark the visited elements."""
        self.arrays["visited"][where, self._reader.read(observation, infos, where)[where]] = 1

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the mask."""
        mask = self.arrays["visited"][rows]
        return self._augment(observation, mask.reshape(*mask.shape[:-1], *self._shape).copy())


class VisitationMask(StatefulWrapper):
    """Adds a mask of the elements visited in the episode, including the current one, to the observation.

    With the mask, a reward for first visits depends only on the observation and the action. A Dict observation gains
    the entry `visited`, a `MultiBinary`; any other observation becomes a Dict with the keys `observation` and
    `visited`. `VectorVisitationMask` wraps vector environments. The wrapper supports `get_state` and `set_state` if the
    environment does.

    Args:
        env: The environment.
        key: Where to read the element; see `envzoo.wrappers.visited_elements.ElementReader`.
        discretiser: Maps positions (B, d) to elements (B,); see `GridDiscretiser`.
        size: Number of elements, None to take that of the space or the discretiser.
        shape: Shape of the mask, None for (size,).
        entry: Key of the mask in the Dict.

    Raises:
        UnknownNameError: The observation has no entry `key`; or, at a reset or step, `info` has none.
        UnsupportedSpaceError: The values at `key` are not integers, and no discretiser is given.
        EnvzooError: `size` or `shape` does not fit the elements; or, at a reset or step, an element is out of range.
    """

    tracker_class = MaskTracker


class VectorVisitationMask(StatefulVectorWrapper):
    """Vector version of `VisitationMask`, with the same arguments."""

    tracker_class = MaskTracker
