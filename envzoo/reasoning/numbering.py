"""Which problem comes when: disjoint splits and orders without repetition, from keyed permutations of the numbers.

The problems of a task are numbered. One fixed permutation of all numbers decides the split: its first part trains, the
rest evaluates. Within a split every seed has an order of its own, another permutation, and every pass through the
split has its own again; so consecutive positions give problems that are distinct until the split is exhausted, and
position k can be computed without the ones before it.

The permutations are balanced Feistel networks (Luby & Rackoff, 1988) of four rounds on the next power of four, applied
again until the result is one of the numbers ("cycle walking", Black & Rogaway, 2002).
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
    """The image of x under permutation `key` (uint64) of {0, ..., n - 1}, n at most 2**62."""
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
    """First problem and number of problems of split 0 (train: four fifths), 1 (evaluation: the rest) or 2 (all)."""
    problems = size // tries
    evaluation = max(problems // 5, 1)
    if split == 0:
        return 0, problems - evaluation
    if split == 1:
        return problems - evaluation, evaluation
    return 0, problems


@njit(cache=True)
def candidate_numbers(positions, attempts, sizes, tries, split, key):
    """The numbers of the candidates for problems at some positions of a split.

    A problem owns `tries` candidates, of which the first that can be solved becomes the problem; problems share none.
    Kinds of problem (several entries in `sizes`) take turns. Should no candidate of a problem's own be solvable, later
    attempts take those of its neighbours in the split, never of the other split.

    Args:
        positions: int64 (n,), at least 0.
        attempts: int64 (n,): which candidate.
        sizes: int64 (kinds,): candidates of each kind; their numbers follow each other.
        tries: Candidates per problem.
        split: 0 train, 1 evaluation, 2 all.
        key: uint64, of the order within the split.

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
