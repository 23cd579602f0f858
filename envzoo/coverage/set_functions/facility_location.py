"""Facility location: every client is served by the most similar of the chosen elements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from envzoo.coverage.set_functions.base import SetFunction, amounts


class Data(NamedTuple):
    """Parameters of the function."""

    similarity: np.ndarray  # float64 (n, clients)


class State(NamedTuple):
    """State of B sets."""

    best: Any  # float64 (B, clients), largest similarity of each client to an element so far
    value: Any  # float64 (B,)


@njit(cache=True)
def gains(data, state, candidates, out):
    """Compute gains: the total increase of the clients' similarities by each candidate."""
    for b in range(candidates.shape[0]):
        for k in range(candidates.shape[1]):
            gain = 0.0
            for client in range(data.similarity.shape[1]):
                gain += max(0.0, data.similarity[candidates[b, k], client] - state.best[b, client])
            out[b, k] = gain


@njit(cache=True)
def add(data, state, elements, where, out):
    """Update the clients' similarities with each element."""
    for b in range(elements.size):
        if where[b]:
            gain = 0.0
            for client in range(data.similarity.shape[1]):
                better = data.similarity[elements[b], client] - state.best[b, client]
                if better > 0.0:
                    gain += better
                    state.best[b, client] = data.similarity[elements[b], client]
            state.value[b] += gain
            out[b] = gain


class FacilityLocation(SetFunction):
    """F(S) = sum over clients of the largest similarity to an element of S, 0 for the empty set.

    Monotone and submodular.

    Args:
        similarity: (elements, clients), finite and nonnegative.

    Raises:
        EnvzooError: A similarity is negative or not finite.
    """

    kernel_gains, kernel_add = gains, add

    def __init__(self, similarity: np.ndarray) -> None:
        self.data = Data(amounts("similarity", similarity, 2))
        self.size = len(self.data.similarity)

    def value(self, indices: Iterable[int]) -> float:
        """Compute F of a set of elements; see `SetFunction.value`."""
        return float(self.data.similarity[self._set(indices)].max(axis=0, initial=0.0).sum())

    def layout(self, capacity: int) -> State:
        """Return the layout; see `SetFunction.layout`."""
        return State(best=(np.float64, (self.data.similarity.shape[1],)), value=np.float64)
