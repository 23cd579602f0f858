"""Spaces that Gymnasium lacks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError


def _shares_of_sizes(n: int, most: int) -> np.ndarray:
    """Share of each size 0, ..., most among the subsets of n things that are not larger, (most + 1,)."""
    logs = [-math.lgamma(size + 1) - math.lgamma(n - size + 1) for size in range(most + 1)]
    weights = np.exp(np.array(logs) - max(logs))
    return weights / weights.sum()


class LimitedMultiBinary(spaces.MultiBinary):
    """`MultiBinary(n)` of which at most `most` entries may be 1, for choosing up to that many of n things.

    It is a `MultiBinary` to everyone who asks, and samples only what it contains. Gymnasium's batched form of it is a
    Box of zeros and ones, which does not know the limit.

    Args:
        n: Number of entries.
        most: Largest number of ones, from 1 to n.
        seed: Seed of `sample`.

    Raises:
        EnvzooError: When `most` is not a whole number from 1 to n.
    """

    def __init__(self, n: int, most: int, seed: int | np.random.Generator | None = None) -> None:
        if not isinstance(most, int | np.integer) or isinstance(most, bool) or not 1 <= most <= n:
            raise EnvzooError(f"most is {most!r}; expected a whole number from 1 to {n}")
        super().__init__(int(n), seed)
        self.most = int(most)

    def sample(self, mask: np.ndarray | None = None, probability: None = None) -> np.ndarray:
        """One element, uniform on all of them.

        Args:
            mask: int8 (n,): 0 and 1 where the entry must be that, 2 where it is free.
            probability: Not supported, must be None.

        Raises:
            EnvzooError: For a mask that asks for more than `most` ones, or of another shape; for a probability.
        """
        if probability is not None:
            raise EnvzooError("probability is not supported by a MultiBinary with a limit; expected None")
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
        """`count` elements, independent and uniform on all, int8 (count, n), from a generator of the caller's."""
        sizes = generator.choice(self.most + 1, size=count, p=_shares_of_sizes(self.n, self.most))
        ranks = generator.random((count, self.n)).argsort(axis=1).argsort(axis=1)
        return (ranks < sizes[:, None]).astype(np.int8)

    def contains(self, x: Any) -> bool:
        """Whether x is an element."""
        return bool(super().contains(x) and np.sum(x, dtype=np.int64) <= self.most)

    def __repr__(self) -> str:
        return f"LimitedMultiBinary({self.n}, at most {self.most} ones)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LimitedMultiBinary) and (self.n, self.most) == (other.n, other.most)

    __hash__ = None
