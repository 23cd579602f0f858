"""Detection of equal rows in a batch, without sorting."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

FEWEST_ROWS, FEWEST_COLUMNS = 256, 64  # below either, the product is cheaper than the search
MOST_DISTINCT = 0.75  # fraction of distinct rows above which the full product is as cheap
_PRIME, _MIX, _32 = np.uint64(0x100000001B3), np.uint64(0xFF51AFD7ED558CCD), np.uint64(32)


@njit(cache=True)
def _hash(words):
    """Compute four interleaved FNV-1a hashes and combine them.

    A single hash would be limited by the latency of the multiplication.
    """
    a, b, c, d = _MIX, _PRIME, _MIX ^ _PRIME, _MIX + _PRIME
    whole = words.size - words.size % 4
    for k in range(0, whole, 4):
        a = (a ^ np.uint64(words[k])) * _PRIME
        b = (b ^ np.uint64(words[k + 1])) * _PRIME
        c = (c ^ np.uint64(words[k + 2])) * _PRIME
        d = (d ^ np.uint64(words[k + 3])) * _PRIME
    for k in range(whole, words.size):
        a = (a ^ np.uint64(words[k])) * _PRIME
    h = (((a * _MIX) ^ b) * _MIX ^ c) * _MIX ^ d
    h = (h ^ (h >> _32)) * _MIX
    return h ^ (h >> _32)


@njit(cache=True)
def _same(first, second):
    for k in range(first.size):  # noqa: SIM110  (Numba cannot compile `all` of a generator)
        if first[k] != second[k]:
            return False
    return True


@njit(cache=True)
def _number(words, limit, chosen, numbering):
    """Assign numbers to the distinct rows in order of first appearance; returns their count, or -1 above `limit`."""
    size = 1
    while size < 2 * limit + 2:
        size *= 2
    slots, mask, found = np.full(size, -1, np.int64), np.uint64(size - 1), 0
    for n in range(len(words)):
        slot = _hash(words[n]) & mask
        while slots[slot] >= 0 and not _same(words[chosen[slots[slot]]], words[n]):
            slot = (slot + np.uint64(1)) & mask
        if slots[slot] < 0:
            if found == limit:
                return -1
            slots[slot] = found
            chosen[found] = n
            found += 1
        numbering[n] = slots[slot]
    return found


def few_distinct(x: Tensor) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """Find the distinct rows of x, if there are few.

    Args:
        x: (N, columns) float32, compared bit by bit.

    Returns:
        Indices of the distinct rows, int64 (U,), and the index among them of each row, int64 (N,), so that
        x[chosen][numbering] is x. (None, None) where the search or the result would not save time, and for tensors
        that are not on the CPU.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32 or len(x) < FEWEST_ROWS or x.shape[1] < FEWEST_COLUMNS:
        return None, None
    limit = int(MOST_DISTINCT * len(x))
    chosen, numbering = np.empty(limit, np.int64), np.empty(len(x), np.int64)
    found = _number(x.detach().numpy().view(np.uint32), limit, chosen, numbering)
    if found < 0:
        return None, None
    return torch.from_numpy(chosen[:found]), torch.from_numpy(numbering)
