"""VisitationMask: show in the observation what the episode has visited."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_shape
from envzoo.wrappers.augment_observation import Joiner
from envzoo.wrappers.stateful import Tracker, TrackingWrapper, VectorTrackingWrapper
from envzoo.wrappers.visited_elements import ElementReader, Key


class MaskTracker(Tracker):
    """What B episodes have visited; see `VisitationMask` for the arguments and errors."""

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
        self._join = Joiner(space, entry, spaces.MultiBinary(shape))
        self.space = self._join.space
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
        return self._join(observation, mask.reshape(*mask.shape[:-1], *self._shape).copy())


class VisitationMask(TrackingWrapper):
    """Adds a mask of the elements that the episode has visited, the present one included, to the observation.

    With it, a reward for first visits depends on the observation and action alone. A Dict observation gets the entry
    `visited`, a `MultiBinary`; any other becomes the Dict of `observation` and `visited`. `VectorVisitationMask` does
    the same to a vector environment. Where the environment has `get_state` and `set_state`, the wrapper has them too.

    Args:
        env: The environment.
        key: Where the element stands; see `envzoo.wrappers.visited_elements.ElementReader`.
        discretiser: Turns positions (B, d) into elements (B,); see `GridDiscretiser`.
        size: Number of elements, None to take that of the space or the discretiser.
        shape: Shape of the mask, None for (size,).
        entry: Name of the mask in the Dict.

    Raises:
        UnknownNameError: The observation has no entry `key`; or, at a reset or step, info has none.
        UnsupportedSpaceError: What stands at `key` are not integers, and no discretiser is given.
        EnvzooError: `size` or `shape` does not fit the elements; at a reset or step, an element is out of range.
    """

    tracker_class = MaskTracker


class VectorVisitationMask(VectorTrackingWrapper):
    """The vector face of `VisitationMask`, with the same arguments."""

    tracker_class = MaskTracker
