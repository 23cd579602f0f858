"""Numba kernels of 8-bit quantisation and of the optimizers whose statistics are kept in 8 bits.

The nearest entry of a table is found from the upper 16 bits of a float32 (sign, exponent, 7 bits of the mantissa): they
give the smallest possible index, from which at most a few comparisons with midpoints remain. The result is that of a
binary search, midpoints included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

SHIFT = 16
MAGNITUDE = np.int32(0x7FFFFFFF)


class Code(NamedTuple):
    """A table of 256 numbers with what makes it fast to search.

    Attributes:
        values: float32 (256,), ascending.
        middles: float32 (256,), midpoints of neighbours; the last one is infinite.
        first: uint8 (65536,), by the upper half of a float32 the smallest index that numbers with it can have.
        zero: Index of 0.
    """

    values: np.ndarray
    middles: np.ndarray
    first: np.ndarray
    zero: int


def prepare(values: np.ndarray) -> Code:
    """Return the code of a table, float32 (256,)."""
    middles = np.append((values[1:] + values[:-1]) / 2, np.float32(np.inf)).astype(np.float32)
    upper = np.arange(2**16, dtype=np.uint32) << SHIFT
    negative = upper >= 2**31
    smallest = np.where(negative, upper | 0xFFFF, upper).astype(np.uint32).view(np.float32)
    smallest = np.where(np.isnan(smallest), np.where(negative, -np.inf, np.inf), smallest)
    first = np.minimum(np.searchsorted(middles[:-1], smallest, side="left"), 255)
    return Code(values, middles, first.astype(np.uint8), int(np.flatnonzero(values == 0)[0]))


@njit(cache=True)
def _largest(bits):
    """Return the largest magnitude among float32 numbers given as int32 bits, as bits."""
    largest = np.int32(0)
    for k in range(bits.size):
        magnitude = bits[k] & MAGNITUDE
        if magnitude > largest:
            largest = magnitude
    return largest


@njit(cache=True)
def _store(x, bits, code, codes, fix_sign):
    """Quantise a block x, float32 (n,) with `bits` its view as int32, to `codes`; x is divided by its magnitude.

    Returns the magnitude.
    """
    scratch = np.empty(1, np.int32)
    scratch[0] = _largest(bits)
    largest = scratch.view(np.float32)[0]
    if largest == 0:
        for k in range(x.size):
            codes[k] = code.zero
        return largest
    for k in range(x.size):
        x[k] = x[k] / largest
    middles, first, zero = code.middles, code.first, code.zero
    for k in range(x.size):
        y = x[k]
        index = np.int64(first[(bits[k] >> SHIFT) & 0xFFFF])
        while y > middles[index]:
            index += 1
        if fix_sign and index == zero and y < 0:  # a negative number that is not 0 stays negative
            index -= 1
        codes[k] = index
    return largest


@njit(cache=True)
def quantize(x, code, size, codes, absmax):
    """Quantise x, float32 (N,), to `codes` uint8 (N,) and `absmax` float32 (blocks,)."""
    scratch = np.empty(min(size, x.size), np.float32)
    bits = scratch.view(np.int32)
    for block in range(absmax.size):
        low, high = block * size, min(x.size, (block + 1) * size)
        count = high - low
        scratch[:count] = x[low:high]
        absmax[block] = _store(scratch[:count], bits[:count], code, codes[low:high], False)


@njit(cache=True)
def adam(p, g, size, code1, codes1, absmax1, code2, codes2, absmax2, beta1, beta2, rate, eps, decay):
    """Take a step of Adam on p with the gradient g, both float32 (N,), and statistics in 8 bits.

    p <- (p - rate m / (sqrt(v) + eps)) decay with the new m and v before they are quantised. Where g is not finite, p
    stays and m = v = 0.
    """
    width = min(size, p.size)
    m, v = np.empty(width, np.float32), np.empty(width, np.float32)
    m_bits, v_bits = m.view(np.int32), v.view(np.int32)
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
        absmax1[block] = _store(m[:count], m_bits[:count], code1, old1, True)
        absmax2[block] = _store(v[:count], v_bits[:count], code2, old2, False)


@njit(cache=True)
def sign_or_momentum(p, g, size, code, codes, absmax, beta1, beta2, rate, decay, lion, first):
    """Take a step of momentum or Lion on p with the gradient g, both float32 (N,), and one statistic in 8 bits.

    Momentum: m <- beta1 m + g (g in the first step), p <- p - rate m. Lion: p <- (p - rate sign(beta1 m + (1 - beta1)
    g)) decay, m <- beta2 m + (1 - beta2) g. Where g is not finite, p stays and m = 0.
    """
    width = min(size, p.size)
    m = np.empty(width, np.float32)
    bits = m.view(np.int32)
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
        absmax[block] = _store(m[:count], bits[:count], code, codes[low:high], True)
