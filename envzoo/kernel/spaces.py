"""Spaces that Gymnasium does not provide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError


def _shares_of_sizes(n: int, most: int) -> np.ndarray:
    """Compute the share of each size 0, ..., most among the subsets of n elements with at most `most`, (most + 1,)."""
    logs = [-math.lgamma(size + 1) - math.lgamma(n - size + 1) for size in range(most + 1)]
    weights = np.exp(np.array(logs) - max(logs))
    return weights / weights.sum()


class LimitedMultiBinary(spaces.MultiBinary):
    """`MultiBinary(n)` with at most `most` ones, for selecting up to that many of n elements.

    It is a subclass of `MultiBinary` and samples only its own elements. Gymnasium's batched form of it is a Box of
    zeros and ones without the limit.

    Args:
        n: Number of entries.
        most: Largest number of ones, from 1 to n.
        seed: Seed of `sample`.

    Raises:
        EnvzooError: `most` is not a whole number from 1 to n.
    """

    def __init__(self, n: int, most: int, seed: int | np.random.Generator | None = None) -> None:
        if not isinstance(most, int | np.integer) or isinstance(most, bool) or not 1 <= most <= n:
            raise EnvzooError(f"most is {most!r}; expected a whole number from 1 to {n}")
        super().__init__(int(n), seed)
        self.most = int(most)

    def sample(self, mask: np.ndarray | None = None, probability: None = None) -> np.ndarray:
        """Sample one element uniformly.

        Args:
            mask: int8 (n,): 0 or 1 where the entry is fixed to that value, 2 where it is free.
            probability: Not supported, must be None.

        Raises:
            EnvzooError: The mask has another shape or requires more than `most` ones, or a probability is given.
        """
        if probability is not None:
            raise EnvzooError("probability is not supported by LimitedMultiBinary; expected None")
        mask = np.full(self.n, 2, np.int8) if mask is None else np.asarray(mask)
        forced = (mask == 1).astype(np.int8)
        if mask.shape != (self.n,) or forced.sum() > self.most:
            raise EnvzooError(f"mask {mask!r} is not usable; expected {self.n} entries, at most {self.most} of them 1")
        free = np.flatnonzero(mask == 2)
        most = min(self.most - int(forced.sum()), free.size)
        size = self.np_random.choice(most + 1, p=_shares_of_sizes(free.size, most))
        forced[self.np_random.permutation(free)[:size]] = 1
        return forced

    def draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw `count` independent uniform elements, int8 (count, n), from the given generator."""
        sizes = generator.choice(self.most + 1, size=count, p=_shares_of_sizes(self.n, self.most))
        ranks = generator.random((count, self.n)).argsort(axis=1).argsort(axis=1)
        return (ranks < sizes[:, None]).astype(np.int8)

    def contains(self, x: Any) -> bool:
        """Return whether x is an element of the space."""
        return bool(super().contains(x) and np.sum(x, dtype=np.int64) <= self.most)

    def __repr__(self) -> str:
        return f"LimitedMultiBinary({self.n}, at most {self.most} ones)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LimitedMultiBinary) and (self.n, self.most) == (other.n, other.most)

    __hash__ = None
