"""Sampling of an index from probabilities within kernels."""

from __future__ import annotations

from numba import njit

from envzoo.kernel.stream import uniform


@njit(cache=True)
def draw_index(weights, streams, i):
    """Draw an index from probabilities (n,) with one number of stream i."""
    u = uniform(streams, i)
    for k in range(weights.size - 1):
        u -= weights[k]
        if u < 0.0:
            return k
    return weights.size - 1
