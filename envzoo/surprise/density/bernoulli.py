"""Bernoulli density: bit frequencies, for binary observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import UnsupportedSpaceError
from envzoo.surprise.density.base import Density, columns, leaves, whole_range


class BernoulliDensity(Density):
    """theta_d = (number of ones) / (n + 1), clipped to [1e-4, 1 - 1e-4]: a prior of one observation of all zeros.

    Args:
        space: MultiBinary, Discrete(2), MultiDiscrete of twos, a Box of the integers 0 and 1, or a Dict of these.
        num_envs: B.

    Raises:
        UnsupportedSpaceError: A component does not have exactly two values.
    """

    name = "bernoulli"
    MARGIN = 1e-4

    def __init__(self, space: spaces.Space, num_envs: int) -> None:
        self._paths, parts = zip(*leaves(space), strict=True)
        ranges = [whole_range(part) for part in parts]
        for path, part, found in zip(self._paths, parts, ranges, strict=True):
            if found is None or (found[1] != 2).any():
                raise UnsupportedSpaceError(
                    f"a Bernoulli density takes bits, but {'.'.join(path) or 'the observation'} is {part}; expected "
                    "MultiBinary or other spaces of two values, or density='categorical'"
                )
        self._low = np.concatenate([found[0] for found in ranges])
        self.dim = self.size = len(self._low)
        self.low = np.full(self.size, self.MARGIN, np.float32)
        self.high = np.full(self.size, 1 - self.MARGIN, np.float32)
        self.arrays = {
            "ones": np.zeros((num_envs, self.dim), np.int64),
            "n": np.zeros(num_envs, np.int64),
        }

    def encode(self, observation: Any) -> np.ndarray:
        """Convert a batch of observations to bits (B, D) int64."""
        return columns(observation, self._paths).astype(np.int64) - self._low

    def clear(self, where: np.ndarray) -> None:
        """Reset the models of the marked episodes."""
        self.arrays["ones"][where] = 0
        self.arrays["n"][where] = 0

    def log_prob(self, components: np.ndarray) -> np.ndarray:
        """Compute log p(o), (B,)."""
        theta = self._theta()
        return np.log(np.where(components == 1, theta, 1.0 - theta)).sum(axis=1)

    def add(self, components: np.ndarray, where: np.ndarray) -> None:
        """Add the ones of the components to the counts."""
        self.arrays["ones"][where] += components[where]
        self.arrays["n"][where] += 1

    def parameters(self) -> np.ndarray:
        """Return theta, (B, D)."""
        return self._theta().astype(np.float32)

    def _theta(self) -> np.ndarray:
        share = self.arrays["ones"] / (self.arrays["n"] + 1)[:, None]
        return np.clip(share, self.MARGIN, 1 - self.MARGIN)
