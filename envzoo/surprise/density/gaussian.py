"""Gaussian density: running mean and variance of each component, for continuous observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import UnsupportedSpaceError
from envzoo.surprise.density.base import Density, columns, leaves, whole_range

LOG_2PI = np.log(2 * np.pi)


class GaussianDensity(Density):
    """Independent normals: log p(o) = -1/2 sum over d of ((o_d - mean_d) / std_d)^2 + log(2 pi std_d^2).

    Each component starts as a standard normal with the weight of one observation, and standard deviations are at least
    1e-3. Bounded integers (such as pixels) are first scaled to [0, 1]. The parameters are the D means, then the D
    standard deviations. (The published code of arXiv 2107.07394 has log(2 pi std) in place of log(2 pi std^2).)

    Args:
        space: Box, or a Dict of Boxes and discrete spaces, whose values are then scaled as well.
        num_envs: B.

    Raises:
        UnsupportedSpaceError: A part of the space is not numeric.
    """

    name = "gaussian"
    FLOOR = 1e-3

    def __init__(self, space: spaces.Space, num_envs: int) -> None:
        self._paths, parts = zip(*leaves(space), strict=True)
        offsets, scales = [], []
        for path, part in zip(self._paths, parts, strict=True):
            whole = whole_range(part)
            if whole is not None:
                offsets.append(whole[0].astype(np.float64))
                scales.append(np.maximum(whole[1] - 1, 1).astype(np.float64))
            elif isinstance(part, spaces.Box):
                offsets.append(np.zeros(int(np.prod(part.shape))))
                scales.append(np.ones(int(np.prod(part.shape))))
            else:
                raise UnsupportedSpaceError(
                    f"a Gaussian density takes numbers, but {'.'.join(path) or 'the observation'} is {part}; expected "
                    "Box or discrete spaces"
                )
        self._offset, self._scale = np.concatenate(offsets), np.concatenate(scales)
        self.dim = len(self._offset)
        self.size = 2 * self.dim
        infinite = np.full(self.dim, np.inf, np.float32)
        self.low = np.concatenate([-infinite, np.full(self.dim, self.FLOOR, np.float32)])
        self.high = np.concatenate([infinite, infinite])
        self.arrays = {
            "mean": np.zeros((num_envs, self.dim)),
            "squares": np.ones((num_envs, self.dim)),  # sum of squared deviations from the mean
            "n": np.zeros(num_envs, np.int64),
        }

    def encode(self, observation: Any) -> np.ndarray:
        """Convert a batch of observations to numbers (B, D) float64."""
        return (columns(observation, self._paths).astype(np.float64) - self._offset) / self._scale

    def clear(self, where: np.ndarray) -> None:
        """Reset the models of the marked episodes."""
        self.arrays["mean"][where] = 0.0
        self.arrays["squares"][where] = 1.0
        self.arrays["n"][where] = 0

    def log_prob(self, components: np.ndarray) -> np.ndarray:
        """Compute log p(o), (B,)."""
        std = self._std()
        z = (components - self.arrays["mean"]) / std
        return -0.5 * (z * z + LOG_2PI + 2 * np.log(std)).sum(axis=1)

    def add(self, components: np.ndarray, where: np.ndarray) -> None:
        """Update means and sums of squares (Welford, 1962)."""
        mean, squares, n = (self.arrays[name] for name in ("mean", "squares", "n"))
        n[where] += 1
        change = components[where] - mean[where]
        mean[where] += change / (n[where] + 1)[:, None]
        squares[where] += change * (components[where] - mean[where])

    def parameters(self) -> np.ndarray:
        """Return means and standard deviations, (B, 2 D)."""
        return np.concatenate([self.arrays["mean"], self._std()], axis=1).astype(np.float32)

    def _std(self) -> np.ndarray:
        return np.maximum(np.sqrt(self.arrays["squares"] / (self.arrays["n"] + 1)[:, None]), self.FLOOR)
