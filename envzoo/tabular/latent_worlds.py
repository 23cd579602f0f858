"""Latent worlds: locks whose key depends on a hidden context, and a world that needs memory (paper 50)."""

from __future__ import annotations

import itertools
import math

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number, check_seed, check_whole
from envzoo.tabular.latent_mdp import LatentMDP


def _lock(paths: list[list[int]], encoding: int, leaves: int, actions: int, good: np.ndarray, pad: int) -> LatentMDP:
    """Build a lock behind an encoding: context m walks along paths[m] to the waiting steps, the root and a leaf.

    States: the encoding, `pad` waiting steps, root, leaves, good, bad, end. In leaf l action a leads to good with
    probability good[m, l, a]; good pays 1.
    """
    contexts, root = len(paths), encoding + pad
    right, end = root + 1 + leaves, root + 1 + leaves + 2
    p = np.zeros((contexts, end + 1, actions, end + 1))
    p[:, :, :, end] = 1.0
    start = np.zeros((contexts, end + 1))
    for m, path in enumerate(paths):
        start[m, path[0]] = 1.0
        walk = [*path, *range(encoding, root + 1)]
        for here, following in itertools.pairwise(walk):
            p[m, here] = np.eye(end + 1)[following]
    for a in range(actions):
        p[:, root, a] = np.eye(end + 1)[root + 1 + min(a, leaves - 1)]
        for leaf in range(leaves):
            p[:, root + 1 + leaf, a] = 0.0
            p[:, root + 1 + leaf, a, right], p[:, root + 1 + leaf, a, right + 1] = (
                good[:, leaf, a],
                1 - good[:, leaf, a],
            )
    r = np.zeros((end + 1, actions))
    r[right] = 1.0
    return LatentMDP(p, r, len(paths[0]) + pad + 3, initial=start)


def _chances(contexts: int, leaves: int, actions: int, base: float, gap: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the key of each context, and return the probabilities (M, L, A) to win."""
    good = np.full((contexts, leaves, actions), base)
    good[np.arange(contexts), rng.integers(leaves, size=contexts), rng.integers(actions, size=contexts)] = base + gap
    return good


def _check_lock(actions: int, base: float, gap: float, pad: int) -> tuple[int, float, float, int]:
    actions, pad = check_whole("actions", actions, 2, 64), check_whole("pad", pad, 0, 1_000)
    base, gap = check_number("base", base, 0.0, 1.0), check_number("gap", gap, 0.0, 1.0, above=True)
    if base + gap > 1:
        raise EnvzooError(f"base + gap is {base + gap:g}; expected a probability of at most 1")
    return actions, base, gap, pad


def permutation_lock(
    contexts: int = 2,
    encoding: int = 2,
    leaves: int = 2,
    actions: int = 3,
    base: float = 0.4,
    gap: float = 0.2,
    pad: int = 0,
    world_seed: int = 0,
) -> LatentMDP:
    """Build the lock in which each context shows itself by the order in which it visits the encoding states.

    Raises:
        EnvzooError: A number out of range, or more contexts than orders.
    """
    actions, base, gap, pad = _check_lock(actions, base, gap, pad)
    encoding, leaves = check_whole("encoding", encoding, 1, 8), check_whole("leaves", leaves, 1, actions)
    contexts, rng = check_whole("contexts", contexts, 1, 64), np.random.default_rng(check_seed(world_seed))
    if contexts > math.factorial(encoding):
        raise EnvzooError(
            f"contexts is {contexts}; expected at most {math.factorial(encoding)}, the orders of {encoding} states"
        )
    orders = list(itertools.permutations(range(encoding)))
    paths = [list(orders[k]) for k in rng.permutation(len(orders))[:contexts]]
    return _lock(paths, encoding, leaves, actions, _chances(contexts, leaves, actions, base, gap, rng), pad)


def encoding_lock(
    bits: int = 2, actions: int = 3, base: float = 0.5, gap: float = 0.3, pad: int = 0, world_seed: int = 0
) -> LatentMDP:
    """Build the lock in which each of 2^bits contexts spells its number, bit by bit, in front of `actions` leaves.

    Raises:
        EnvzooError: A number out of range.
    """
    actions, base, gap, pad = _check_lock(actions, base, gap, pad)
    bits, rng = check_whole("bits", bits, 0, 6), np.random.default_rng(check_seed(world_seed))
    # State 0 is the start, 1 + 2 i + b says that bit i is b.
    paths = [[0, *(1 + 2 * i + (m >> i & 1) for i in range(bits))] for m in range(2**bits)]
    return _lock(paths, 1 + 2 * bits, actions, actions, _chances(2**bits, actions, actions, base, gap, rng), pad)


def signal_world(accuracy: float = 0.9) -> LatentMDP:
    """Build the world that needs memory: a probe shows the context with some accuracy, two steps before it is needed.

    In state 0 action 1 leads to state 1 with probability `accuracy` in context 0 and 1 - accuracy in context 1, and
    otherwise to state 2; action 0 tosses a coin. Both lead to state 3, where the number of the context pays 1.
    """
    accuracy = check_number("accuracy", accuracy, 0.5, 1.0)
    p, r = np.zeros((2, 5, 2, 5)), np.zeros((2, 5, 2))
    for m in range(2):
        first = accuracy if m == 0 else 1 - accuracy
        p[m, 0, 0, 1:3], p[m, 0, 1, 1:3] = 0.5, [first, 1 - first]
        p[m, 1:3, :, 3], p[m, 3:, :, 4] = 1.0, 1.0
        r[m, 3, m] = 1.0
    return LatentMDP(p, r, 3)
