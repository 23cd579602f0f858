"""Fast checks of batches of actions against a space: one pass, no Python per episode."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import InvalidActionError, UnsupportedSpaceError


@njit(cache=True)
def _first_outside_integers(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> int:
    """The flat index of the first action outside low <= action <= high, or -1; the bounds repeat along the batch."""
    k = 0
    for j in range(actions.size):
        if actions[j] < low[k] or actions[j] > high[k]:
            return j
        k += 1
        if k == low.size:
            k = 0
    return -1


# The same body, compiled for floats: "not inside" rather than "outside" so that NaN is caught.
@njit(cache=True)
def _first_outside_floats(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> int:
    """The flat index of the first action not inside [low, high] (NaN never is), or -1."""
    k = 0
    for j in range(actions.size):
        if not (actions[j] >= low[k] and actions[j] <= high[k]):
            return j
        k += 1
        if k == low.size:
            k = 0
    return -1


class ActionCheck:
    """Turns what a caller passes to `step` into the contiguous array that the kernels take, or refuses it.

    Args:
        space: The action space of one episode: Discrete, MultiDiscrete or Box.

    Raises:
        UnsupportedSpaceError: For any other space.
    """

    def __init__(self, space: spaces.Space) -> None:
        self._space = space
        self._integers = isinstance(space, spaces.Discrete | spaces.MultiDiscrete)
        if isinstance(space, spaces.Discrete):
            low, high = np.array([space.start]), np.array([space.start + space.n - 1])
        elif isinstance(space, spaces.MultiDiscrete):
            low, high = space.start, space.start + space.nvec - 1
        elif isinstance(space, spaces.Box):
            low, high = space.low, space.high
        else:
            raise UnsupportedSpaceError(
                f"action space {space} is not supported by the kernel base; expected Discrete, MultiDiscrete or Box"
            )
        self.shape: tuple[int, ...] = space.shape
        self._dtype = np.dtype(np.int64) if self._integers else space.dtype
        self._low = np.array(low, self._dtype).ravel()
        self._high = np.array(high, self._dtype).ravel()
        self._first_outside = _first_outside_integers if self._integers else _first_outside_floats

    def __call__(self, actions: Any, num_envs: int) -> np.ndarray:
        """The actions as a fresh or borrowed C-contiguous array (num_envs, *space.shape) of the kernels' dtype.

        Raises:
            InvalidActionError: When the shape, the kind of number or a value does not fit the space.
        """
        array = np.asarray(actions)
        if array.shape != (num_envs, *self.shape):
            raise InvalidActionError(
                f"actions have shape {array.shape}; expected {(num_envs, *self.shape)} for {num_envs} "
                f"episode{'s' if num_envs != 1 else ''} of {self._space}"
            )
        if array.dtype != self._dtype:
            if array.dtype.kind not in ("iu" if self._integers else "iuf"):
                expected = "integers" if self._integers else "numbers"
                raise InvalidActionError(f"actions have dtype {array.dtype}; expected {expected} in {self._space}")
            # uint64 above 2**63 would turn negative, and is then refused as well
            array = array.astype(self._dtype)
        if not (array.flags.c_contiguous and array.flags.writeable):
            array = array.copy(order="C")  # else Numba compiles the kernels once more for this layout
        outside = self._first_outside(array.reshape(-1), self._low, self._high)
        if outside >= 0:
            self._refuse(array, outside)
        return array

    def _refuse(self, array: np.ndarray, outside: int) -> None:
        episode, component = divmod(outside, self._low.size)
        value = array.reshape(-1)[outside]
        low, high = self._low[component], self._high[component]
        nearest = low if not value >= low else min(value, high)
        which = f" in component {component}" if self._low.size > 1 else ""
        raise InvalidActionError(
            f"action {value} of episode {episode} lies outside {self._space}{which}; expected "
            f"{low} to {high}, the nearest is {nearest}"
        )
