"""Per-episode random streams: counter-based, so that an episode's randomness depends only on its seed.

A stream is one row `(key, counter)` of a uint64 array `streams` of shape (num_envs, 2), stored with the episode's
state. Draw number c of a stream is `mix(key ^ mix(c))` with the SplitMix64 finaliser as `mix` (Steele, Lea & Flood,
"Fast splittable pseudorandom number generators", 2014). Mixing the counter before combining it with the key ensures
that no two streams are shifted copies of each other. Every draw advances the counter by one (`normal`: by two), so
the two numbers are the complete state of the stream.

Kernels call `uniform(streams, i)`, `integer(streams, i, n)` and `normal(streams, i)` for episode `i`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
_ONE = np.uint64(1)
_UNIT = 2.0**-53
_KEY, _COUNTER = 0, 1


@njit(cache=True)
def _mix(z: int) -> int:
    """Apply the SplitMix64 finaliser to z + golden ratio: a bijection of the 64-bit integers."""
    z = z + _GOLDEN
    z = (z ^ (z >> _S30)) * _MULTIPLIER_1
    z = (z ^ (z >> _S27)) * _MULTIPLIER_2
    return z ^ (z >> _S31)


@njit(cache=True)
def bits(streams: np.ndarray, i: int) -> int:
    """Draw 64 random bits from the stream of episode i (uint64)."""
    counter = streams[i, _COUNTER]
    streams[i, _COUNTER] = counter + _ONE
    return _mix(streams[i, _KEY] ^ _mix(counter))


@njit(cache=True)
def uniform(streams: np.ndarray, i: int) -> float:
    """Draw a float64 uniform on [0, 1), with 53 random bits."""
    return (bits(streams, i) >> _S11) * _UNIT


@njit(cache=True)
def integer(streams: np.ndarray, i: int, n: int) -> int:
    """Draw an int64 uniform on {0, ..., n - 1}; the bias is below n * 2**-53."""
    return np.int64(uniform(streams, i) * n)


@njit(cache=True)
def normal(streams: np.ndarray, i: int) -> float:
    """Draw a standard normal float64 by the Box-Muller transform (two draws of the stream)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(streams, i)))
    return radius * math.cos(2.0 * math.pi * uniform(streams, i))


def keys(seeds: np.ndarray) -> np.ndarray:
    """Compute the stream keys (n,) uint64 of integer `seeds` (n,) uint64; neighbouring seeds get unrelated keys."""
    z = np.asarray(seeds, np.uint64) + _GOLDEN
    z = (z ^ (z >> _S30)) * _MULTIPLIER_1
    z = (z ^ (z >> _S27)) * _MULTIPLIER_2
    return z ^ (z >> _S31)
