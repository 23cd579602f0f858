"""Fast validation of batches of actions against a space: one pass, without a Python loop over episodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import InvalidActionError, UnsupportedSpaceError
from envzoo.kernel.spaces import LimitedMultiBinary


@njit(cache=True)
def _any_outside(actions, low, high):
    """Return whether any action (rows, ...) violates low <= action <= high, flat (components,); NaN always does."""
    # No early exit: invalid actions are rare, and without it the loop is vectorised.
    outside, rows = False, actions.reshape(actions.shape[0], low.size)
    for component in range(low.size):
        least, most = low[component], high[component]
        for i in range(rows.shape[0]):
            outside |= not (rows[i, component] >= least and rows[i, component] <= most)
    return outside


@njit(cache=True)
def _first_with_more(actions, most):
    """Return the first row of zeros and ones (rows, components) with more than `most` ones, or -1."""
    for i in range(actions.shape[0]):
        ones = 0
        for component in range(actions.shape[1]):
            ones += actions[i, component]
        if ones > most:
            return i
    return -1


class ActionCheck:
    """Converts the actions passed to `step` to the contiguous array that the kernels take, or refuses them.

    Args:
        space: The action space of one episode: Discrete, MultiDiscrete, MultiBinary or Box.

    Raises:
        UnsupportedSpaceError: The space is of another kind.
    """

    def __init__(self, space: spaces.Space) -> None:
        self._space = space
        self._integers = isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)
        self._kinds = "iu" if self._integers else "iuf"  # kinds of dtypes that callers may pass
        self._dtype = np.dtype(np.int64) if self._integers else space.dtype  # dtype that the kernels take
        self._most = space.most if isinstance(space, LimitedMultiBinary) else None
        if isinstance(space, spaces.Discrete):
            low, high = np.array([space.start]), np.array([space.start + space.n - 1])
        elif isinstance(space, spaces.MultiDiscrete):
            low, high = space.start, space.start + space.nvec - 1
        elif isinstance(space, spaces.MultiBinary):
            low, high = np.zeros(space.shape), np.ones(space.shape)
            self._kinds, self._dtype = "iub", space.dtype
        elif isinstance(space, spaces.Box):
            low, high = space.low, space.high
        else:
            raise UnsupportedSpaceError(
                f"action space {space} is not supported by the kernel base; expected Discrete, MultiDiscrete, "
                "MultiBinary or Box"
            )
        self.shape: tuple[int, ...] = space.shape
        self._low = np.array(low, self._dtype).ravel()
        self._high = np.array(high, self._dtype).ravel()

    def __call__(self, actions: Any, num_envs: int) -> np.ndarray:
        """Return actions as a C-contiguous array (num_envs, *space.shape) of the kernels' dtype, copied only if needed.

        Raises:
            InvalidActionError: The shape, the dtype or a value does not fit the space.
        """
        try:
            array = np.asarray(actions)
        except ValueError:
            raise InvalidActionError("actions have rows of different lengths; expected an array") from None
        if array.shape != (num_envs, *self.shape):
            raise InvalidActionError(
                f"actions have shape {array.shape}; expected {(num_envs, *self.shape)} for {num_envs} "
                f"episode{'s' if num_envs != 1 else ''} of {self._space}"
            )
        if array.dtype != self._dtype:
            if array.dtype.kind not in self._kinds:
                expected = "integers" if self._integers else "numbers"
                raise InvalidActionError(f"actions have dtype {array.dtype}; expected {expected} in {self._space}")
            # Not converted directly to a narrower dtype, in which 256 would become 0; uint64 above 2**63 becomes
            # negative and is then refused, too.
            array = array.astype(np.int64 if self._integers else self._dtype)
        if not array.flags.carray:  # contiguous, aligned and writeable, as the compiled kernels expect it (FixedCall)
            array = array.copy(order="C")
        if _any_outside(array, self._low, self._high):
            self._refuse(array.reshape(num_envs, -1))
        if array.dtype != self._dtype:
            array = array.astype(self._dtype)
        if self._most is not None and (episode := _first_with_more(array, self._most)) >= 0:
            raise InvalidActionError(
                f"the action of episode {episode} has {np.count_nonzero(array[episode])} ones; expected at most "
                f"{self._most} in {self._space}"
            )
        return array

    def _refuse(self, rows: np.ndarray) -> None:
        episode, component = np.argwhere(~((rows >= self._low) & (rows <= self._high)))[0]
        value, low, high = rows[episode, component], self._low[component], self._high[component]
        nearest = high if value > high else low
        which = f" in component {component}" if self._low.size > 1 else ""
        raise InvalidActionError(
            f"action {value} of episode {episode} lies outside {self._space}{which}; expected "
            f"{low} to {high}, the nearest is {nearest}"
        )
