"""Capped item counts: items of several kinds, each of which counts up to a cap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from envzoo.coverage.set_functions.base import SetFunction
from envzoo.errors import EnvzooError


class Data(NamedTuple):
    """Kinds of the elements, and caps of the kinds."""

    kinds: np.ndarray  # int64 (n,), -1 for an element without an item
    caps: np.ndarray  # int64 (kinds,)


class State(NamedTuple):
    """State of B sets."""

    member: Any  # bool (B, n)
    counts: Any  # int64 (B, kinds), distinct elements of each kind
    value: Any  # float64 (B,)


@njit
def _gain(data, state, b, element):
    kind = data.kinds[element]
    return 1.0 if kind >= 0 and not state.member[b, element] and state.counts[b, kind] < data.caps[kind] else 0.0


@njit(cache=True)
def gains(data, state, candidates, out):
    """Compute gains: 1 for a new item of a kind below its cap."""
    for b in range(candidates.shape[0]):
        for k in range(candidates.shape[1]):
            out[b, k] = _gain(data, state, b, candidates[b, k])


@njit(cache=True)
def add(data, state, elements, where, out):
    """Add the item of each element."""
    for b in range(elements.size):
        if where[b]:
            element = elements[b]
            out[b] = _gain(data, state, b, element)
            state.value[b] += out[b]
            if not state.member[b, element]:
                state.member[b, element] = True
                if data.kinds[element] >= 0:
                    state.counts[b, data.kinds[element]] += 1


class CappedItemCounts(SetFunction):
    """F(S) = sum over kinds k of min(number of elements of kind k in S, cap of k). Monotone and submodular.

    Args:
        kinds: Kind of the item at each element (elements,), -1 for none.
        caps: Number of items of each kind that count (kinds,), nonnegative.

    Raises:
        EnvzooError: A kind has no cap, a cap is negative, or the arrays are not integers.
    """

    kernel_gains, kernel_add = gains, add

    def __init__(self, kinds: Sequence[int] | np.ndarray, caps: Sequence[int] | np.ndarray) -> None:
        arrays = {"kinds": np.asarray(kinds), "caps": np.asarray(caps)}
        for name, array in arrays.items():
            if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
                raise EnvzooError(f"{name} is {array.dtype} of shape {array.shape}; expected a list of integers")
        if arrays["caps"].min() < 0:
            raise EnvzooError(f"caps holds {arrays['caps'].min()}; expected whole numbers of at least 0")
        last = len(arrays["caps"]) - 1
        outside = (arrays["kinds"] < -1) | (arrays["kinds"] > last)
        if outside.any():
            at = np.flatnonzero(outside)[0]
            raise EnvzooError(f"element {at} is of kind {arrays['kinds'][at]}; expected -1 (no item) or 0 to {last}")
        self.data = Data(*(np.ascontiguousarray(array, np.int64) for array in arrays.values()))
        self.size = len(self.data.kinds)

    def value(self, indices: Iterable[int]) -> float:
        """Compute F of a set of elements; see `SetFunction.value`."""
        kinds = self.data.kinds[self._set(indices)]
        counts = np.bincount(kinds[kinds >= 0], minlength=len(self.data.caps))
        return float(np.minimum(counts, self.data.caps).sum())

    def layout(self, capacity: int) -> State:
        """Return the layout; see `SetFunction.layout`."""
        return State(member=(np.bool_, (self.size,)), counts=(np.int64, (len(self.data.caps),)), value=np.float64)
