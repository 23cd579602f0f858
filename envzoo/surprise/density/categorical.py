"""Categorical density: value counts of each component, for symbolic observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import UnsupportedSpaceError
from envzoo.surprise.density.base import Density, columns, leaves, whole_range


@njit(cache=True)
def _log_prob(counts, n, first, classes, components, floor, out):
    """Sum log max(count / n, floor) over components; log(1 / classes) for each while there are no observations."""
    for b in range(len(out)):
        total = 0.0
        for d in range(first.size):
            if n[b] == 0:
                total -= np.log(classes[d])
            else:
                total += np.log(max(counts[b, first[d] + components[b, d]] / n[b], floor))
        out[b] = total


@njit(cache=True)
def _add(counts, n, first, components, where):
    for b in range(where.size):
        if where[b]:
            n[b] += 1
            for d in range(first.size):
                counts[b, first[d] + components[b, d]] += 1


@njit(cache=True)
def _parameters(counts, n, uniform, out):
    for b in range(n.size):
        for k in range(uniform.size):
            out[b, k] = uniform[k] if n[b] == 0 else counts[b, k] / n[b]


class CategoricalDensity(Density):
    """theta[d, k] = count / n, uniform while n = 0; log p(o) = sum over d of log max(theta[d, o_d], 1e-3).

    The floor is not subtracted from the other classes, so probabilities may sum to slightly more than 1. Components may
    differ in their number of classes; the parameters list the classes of component 0, then those of component 1, and
    so on. (Fickinger et al., arXiv 2107.07394, use 147 components of 12 classes each.)

    Args:
        space: Discrete, MultiDiscrete, MultiBinary, a bounded Box of integers, or a Dict of these.
        num_envs: B.

    Raises:
        UnsupportedSpaceError: A component is not an integer with at most 65,536 values.
    """

    name = "categorical"
    FLOOR = 1e-3
    MOST_CLASSES = 2**16

    def __init__(self, space: spaces.Space, num_envs: int) -> None:
        self._paths, parts = zip(*leaves(space), strict=True)
        ranges = [whole_range(part) for part in parts]
        for path, part, found in zip(self._paths, parts, ranges, strict=True):
            if found is None or (found[1] > self.MOST_CLASSES).any():
                raise UnsupportedSpaceError(
                    f"a categorical density counts whole numbers out of at most {self.MOST_CLASSES:,}, but "
                    f"{'.'.join(path) or 'the observation'} is {part}; expected Discrete, MultiDiscrete, MultiBinary "
                    "or a Box of integers, or density='gaussian'"
                )
        self._low, self.classes = (np.concatenate(column) for column in zip(*ranges, strict=True))
        self._first = np.concatenate([[0], np.cumsum(self.classes)[:-1]])
        self.dim, self.size = len(self.classes), int(self.classes.sum())
        self.low, self.high = np.zeros(self.size, np.float32), np.ones(self.size, np.float32)
        self._uniform = np.repeat(1.0 / self.classes, self.classes)
        self.arrays = {
            "counts": np.zeros((num_envs, self.size), np.int32),
            "n": np.zeros(num_envs, np.int64),
        }

    def encode(self, observation: Any) -> np.ndarray:
        """Convert a batch of observations to class indices (B, D) int64.

        Raises:
            UnsupportedSpaceError: A value is outside the space.
        """
        components = columns(observation, self._paths).astype(np.int64) - self._low
        if ((components < 0) | (components >= self.classes)).any():
            raise UnsupportedSpaceError("an observation lies outside its space, so its class cannot be counted")
        return components

    def clear(self, where: np.ndarray) -> None:
        """Reset the models of the marked episodes."""
        self.arrays["counts"][where] = 0
        self.arrays["n"][where] = 0

    def log_prob(self, components: np.ndarray) -> np.ndarray:
        """Compute log p(o), (B,)."""
        out = np.empty(len(components))
        _log_prob(self.arrays["counts"], self.arrays["n"], self._first, self.classes, components, self.FLOOR, out)
        return out

    def add(self, components: np.ndarray, where: np.ndarray) -> None:
        """Add the classes of the components to the counts."""
        _add(self.arrays["counts"], self.arrays["n"], self._first, components, where)

    def parameters(self) -> np.ndarray:
        """Return theta, (B, P)."""
        out = np.empty((len(self.arrays["n"]), self.size), np.float32)
        _parameters(self.arrays["counts"], self.arrays["n"], self._uniform, out)
        return out
