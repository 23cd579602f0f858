"""Numba kernels of 8-bit quantisation and of the optimizers whose statistics are kept in 8 bits.

The nearest entry of a table is found without a search. The sign, the exponent and the first 7 bits of the mantissa of a
number make up its key; the numbers of one key have at most one midpoint of two entries between them, so that the
smallest entry of the key and one comparison give the entry. The result is that of a binary search, midpoints included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

SHIFT, LOWEST, HIGHEST = 16, 0x3400, 0x3F80  # keys are the upper halves of the magnitudes 2^-23 to 1
SPAN = HIGHEST - LOWEST + 1  # keys of one sign
MAGNITUDE = np.int32(0x7FFFFFFF)


class Code(NamedTuple):
    """A table of 256 numbers with what makes it fast to search.

    Attributes:
        values: float32 (256,), ascending.
        middles: float32 (256,), midpoints of neighbours; the last one is infinite.
        first: uint8 (2 SPAN,), by key the smallest index that its numbers can have; negative numbers come second.
        kept_middles, kept_first: The same for a search in which negative numbers stay negative: the midpoint below 0
            is 0.
        zero: Index of 0.
    """

    values: np.ndarray
    middles: np.ndarray
    first: np.ndarray
    kept_middles: np.ndarray
    kept_first: np.ndarray
    zero: int


def prepare(values: np.ndarray) -> Code:
    """Return the code of a table, float32 (256,); no two of its midpoints may have one key."""
    middles = np.append((values[1:] + values[:-1]) / 2, np.float32(np.inf)).astype(np.float32)
    zero = int(np.flatnonzero(values == 0)[0])
    kept = middles.copy()
    kept[zero - 1] = 0
    first = _first(middles)
    # Numbers of positive sign, to which 0 belongs, are not concerned.
    kept_first = np.concatenate([first[:SPAN], _first(kept)[SPAN:]])
    return Code(values, middles, first, kept, kept_first, zero)


def _first(middles: np.ndarray) -> np.ndarray:
    low = np.arange(LOWEST, HIGHEST + 1, dtype=np.uint32) << SHIFT
    high = low | 0xFFFF
    low[0] = 0  # smaller magnitudes have the lowest key, larger ones do not occur
    smallest = np.concatenate([low.view(np.float32), -high.view(np.float32)])
    largest = np.concatenate([high.view(np.float32), -low.view(np.float32)])
    first, last = (np.searchsorted(middles[:-1], ends, side="left") for ends in (smallest, largest))
    assert (last - first <= 1).all()
    return first.astype(np.uint8)


@njit(cache=True, error_model="numpy")
def _largest(bits):
    """Return the largest magnitude among float32 numbers given as int32 bits, as bits."""
    largest = np.int32(0)
    for k in range(bits.size):
        magnitude = bits[k] & MAGNITUDE
        if magnitude > largest:
            largest = magnitude
    return largest


@njit(cache=True, error_model="numpy")
def _store(x, bits, keys, zero, middles, first, codes):
    """Quantise a block x, float32 (n,) with `bits` its view as int32, to `codes`; x is divided by its magnitude.

    `keys` int32 (n,) is scratch space; `zero`, `middles` and `first` are of a code. Returns the magnitude.
    """
    keys[0] = _largest(bits)
    largest = keys.view(np.float32)[0]
    if largest == 0:
        for k in range(x.size):
            codes[k] = zero
        return largest
    for k in range(x.size):
        x[k] = x[k] / largest + np.float32(0)  # makes 0 of -0
    for k in range(x.size):
        key = min(max(np.int32((bits[k] & MAGNITUDE) >> SHIFT), np.int32(LOWEST)), np.int32(HIGHEST))
        keys[k] = np.int32(key - LOWEST) + np.int32(np.int32(bits[k] >> 31) & SPAN)
    for k in range(x.size):
        index = np.uint8(first[keys[k]])
        codes[k] = index + np.uint8(x[k] > middles[index])
    return largest


@njit(cache=True, error_model="numpy")
def quantize(x, code, size, codes, absmax):
    """Quantise x, float32 (N,), to `codes` uint8 (N,) and `absmax` float32 (blocks,)."""
    scratch = np.empty(min(size, x.size), np.float32)
    bits, keys = scratch.view(np.int32), np.empty(scratch.size, np.int32)
    for block in range(absmax.size):
        low, high = block * size, min(x.size, (block + 1) * size)
        count = high - low
        scratch[:count] = x[low:high]
        absmax[block] = _store(
            scratch[:count], bits[:count], keys, code.zero, code.middles, code.first, codes[low:high]
        )


@njit(cache=True, error_model="numpy")
def adam(p, g, size, code1, codes1, absmax1, code2, codes2, absmax2, beta1, beta2, rate, eps, decay):
    """Take a step of Adam on p with the gradient g, both float32 (N,), and statistics in 8 bits.

    p <- (p - rate m / (sqrt(v) + eps)) decay with the new m and v before they are quantised. Where g is not finite, p
    stays and m = v = 0.
    """
    width = min(size, p.size)
    m, v = np.empty(width, np.float32), np.empty(width, np.float32)
    m_bits, v_bits, keys = m.view(np.int32), v.view(np.int32), np.empty(width, np.int32)
    beta1, beta2, rate, eps = np.float32(beta1), np.float32(beta2), np.float32(rate), np.float32(eps)
    decay, rest1, rest2 = np.float32(decay), np.float32(1) - beta1, np.float32(1) - beta2
    for block in range(absmax1.size):
        low, high = block * size, min(p.size, (block + 1) * size)
        count = high - low
        scale1, scale2 = absmax1[block] * beta1, absmax2[block] * beta2
        gradient, parameter, old1, old2 = g[low:high], p[low:high], codes1[low:high], codes2[low:high]
        for k in range(count):
            m[k] = code1.values[old1[k]]
            v[k] = code2.values[old2[k]]
        for k in range(count):
            now = gradient[k]
            finite = abs(now) < np.inf
            used = now if finite else np.float32(0)
            keep = np.float32(1) if finite else np.float32(0)
            m[k] = keep * (m[k] * scale1 + rest1 * used)
            v[k] = keep * (v[k] * scale2 + rest2 * used * used)
            after = (parameter[k] - rate * m[k] / (np.sqrt(v[k]) + eps)) * decay
            parameter[k] = after if finite else parameter[k]
        absmax1[block] = _store(m[:count], m_bits[:count], keys, code1.zero, code1.kept_middles, code1.kept_first, old1)
        absmax2[block] = _store(v[:count], v_bits[:count], keys, code2.zero, code2.middles, code2.first, old2)


@njit(cache=True, error_model="numpy")
def sign_or_momentum(p, g, size, code, codes, absmax, beta1, beta2, rate, decay, lion, first):
    """Take a step of momentum or Lion on p with the gradient g, both float32 (N,), and one statistic in 8 bits.

    Momentum: m <- beta1 m + g (g in the first step), p <- p - rate m. Lion: p <- (p - rate sign(beta1 m + (1 - beta1)
    g)) decay, m <- beta2 m + (1 - beta2) g. Where g is not finite, p stays and m = 0.
    """
    width = min(size, p.size)
    m = np.empty(width, np.float32)
    bits, keys = m.view(np.int32), np.empty(width, np.int32)
    beta1, beta2, rate, decay = np.float32(beta1), np.float32(beta2), np.float32(rate), np.float32(decay)
    rest1, rest2 = np.float32(1) - beta1, np.float32(1) - beta2
    for block in range(absmax.size):
        low, high = block * size, min(p.size, (block + 1) * size)
        count = high - low
        scale = absmax[block]
        for k in range(count):
            now, old = g[low + k], code.values[codes[low + k]] * scale
            if not abs(now) < np.inf:
                m[k] = 0
            elif lion:
                direction = np.sign(beta1 * old + rest1 * now)
                p[low + k] = (p[low + k] - rate * direction) * decay
                m[k] = beta2 * old + rest2 * now
            else:
                m[k] = now if first else beta1 * old + now
                p[low + k] -= rate * m[k]
        absmax[block] = _store(
            m[:count], bits[:count], keys, code.zero, code.kept_middles, code.kept_first, codes[low:high]
        )
