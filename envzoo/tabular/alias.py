"""Alias tables (Walker, 1977; Vose, 1991): sampling from a law of any length in constant time."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def _fill(laws, threshold, alias):
    """Write the alias table of every law (R, K)."""
    rows, size = laws.shape
    scaled = np.empty(size)
    small, large = np.empty(size, np.int64), np.empty(size, np.int64)
    for row in range(rows):
        few = many = 0
        for k in range(size):
            scaled[k] = laws[row, k] * size
            alias[row, k] = k
            if scaled[k] < 1.0:
                small[few] = k
                few += 1
            else:
                large[many] = k
                many += 1
        while few > 0 and many > 0:
            few -= 1
            less, more = small[few], large[many - 1]
            threshold[row, less] = scaled[less]
            alias[row, less] = more
            scaled[more] = (scaled[more] + scaled[less]) - 1.0
            if scaled[more] < 1.0:
                many -= 1
                small[few] = more
                few += 1
        while many > 0:
            many -= 1
            threshold[row, large[many]] = 1.0
        # What is left here missed 1 by rounding only; a law of probability 0 must still never be drawn.
        while few > 0:
            few -= 1
            threshold[row, small[few]] = 1.0 if laws[row, small[few]] > 0.0 else 0.0


def alias_table(laws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the alias tables of laws (..., K).

    To draw from a law, take u uniform on [0, 1) and k = int(u K): the result is k if u K - k < threshold[k], and
    alias[k] otherwise.

    Returns:
        thresholds (..., K) float64 and aliases (..., K) int32.
    """
    laws = np.asarray(laws, np.float64)
    flat = np.ascontiguousarray(laws.reshape(-1, laws.shape[-1]))
    threshold, alias = np.empty(flat.shape), np.empty(flat.shape, np.int32)
    _fill(flat, threshold, alias)
    zero = (threshold == 0.0) & (alias == np.arange(flat.shape[1]))
    if zero.any():  # an impossible outcome without an alias: send it to the likeliest one
        rows, columns = np.nonzero(zero)
        alias[rows, columns] = flat[rows].argmax(axis=1)
    return threshold.reshape(laws.shape), alias.reshape(laws.shape)


def alias_law(threshold: np.ndarray, alias: np.ndarray) -> np.ndarray:
    """Compute the laws (..., K) that alias tables sample from; the inverse of `alias_table` up to rounding."""
    size = threshold.shape[-1]
    flat, to = threshold.reshape(-1, size), alias.reshape(-1, size)
    laws = flat / size
    rows = np.repeat(np.arange(len(flat)), size)
    np.add.at(laws, (rows, to.ravel()), ((1.0 - flat) / size).ravel())
    return laws.reshape(threshold.shape)
