"""Order of problems: disjoint splits and orders without repetition, from keyed permutations of the numbers.

The problems of a task are numbered. One fixed permutation of all numbers defines the split: its first part is for
training, the rest for evaluation. Within a split, every seed and every pass through the split has its own
permutation. Hence consecutive positions give distinct problems until the split is exhausted, and the problem at
position k can be computed without those before it.

The permutations are balanced Feistel networks (Luby & Rackoff, 1988) of four rounds on the next power of four, applied
repeatedly until the result is one of the numbers ("cycle walking", Black & Rogaway, 2002).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.kernel.stream import _mix

ROUNDS = 4
_SPLIT_KEY = np.uint64(0x5EED0F5B1175)
_ONE = np.uint64(1)


@njit(cache=True)
def _half_bits(n):
    half = np.uint64(1)
    while (_ONE << (half + half)) < np.uint64(n):
        half += _ONE
    return half


@njit(cache=True)
def permute(x: int, n: int, key: int) -> int:
    """Map x by the permutation `key` (uint64) of {0, ..., n - 1}, n at most 2**62."""
    half = _half_bits(n)
    mask = (_ONE << half) - _ONE
    y = np.uint64(x)
    while True:
        left, right = y >> half, y & mask
        for k in range(ROUNDS):
            left, right = right, left ^ (_mix(right ^ _mix(key + np.uint64(k))) & mask)
        y = (left << half) | right
        if y < np.uint64(n):
            return np.int64(y)


@njit(cache=True)
def split_range(size, tries, split):
    """Return first problem and size of split 0 (train: four fifths), 1 (evaluation: the rest) or 2 (all)."""
    problems = size // tries
    evaluation = max(problems // 5, 1)
    if split == 0:
        return 0, problems - evaluation
    if split == 1:
        return problems - evaluation, evaluation
    return 0, problems


@njit(cache=True)
def candidate_numbers(positions, attempts, sizes, tries, split, key):
    """Compute the numbers of the candidates for problems at given positions of a split.

    Each problem has `tries` candidates, the first solvable one of which becomes the problem; problems share no
    candidates. Kinds of problem (several entries in `sizes`) alternate. If none of a problem's own candidates is
    solvable, later attempts use those of its neighbours in the split, never of the other split.

    Args:
        positions: int64 (n,), at least 0.
        attempts: int64 (n,): index of the candidate.
        sizes: int64 (kinds,): number of candidates of each kind; they are numbered consecutively.
        tries: Candidates per problem.
        split: 0 train, 1 evaluation, 2 all.
        key: uint64, key of the order within the split.

    Returns:
        int64 (n,).
    """
    result = np.empty(positions.size, np.int64)
    for i in range(positions.size):
        kind = positions[i] % sizes.size
        turn = positions[i] // sizes.size
        before = 0
        for k in range(kind):
            before += sizes[k]
        first, count = split_range(sizes[kind], tries, split)
        order = _mix(key ^ _mix(np.uint64(turn // count)))
        problem = first + (permute(turn % count, count, order) + attempts[i] // tries) % count
        own = problem * tries + attempts[i] % tries
        result[i] = before + permute(own, sizes[kind] // tries * tries, _SPLIT_KEY)
    return result
