"""Base class of density models: how observations are encoded and scored."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces


class Density:
    """A density model with independent components for each of B episodes; episodes are independent of each other.

    Args:
        space: Observation space of one episode.
        num_envs: B.

    Attributes:
        name: Name for `make_density`.
        dim: D, the number of components of an observation.
        size: P, the number of parameters of one episode's model.
        low: Smallest value of each parameter, (P,) float32.
        high: Largest value, (P,) float32.
        arrays: The state, arrays (B, ...) that are changed in place; `n` (B,) int64 counts the observations.

    Raises:
        UnsupportedSpaceError: The model does not fit the space.
    """

    name: ClassVar[str]
    dim: int
    size: int
    low: np.ndarray
    high: np.ndarray
    arrays: dict[str, np.ndarray]

    def encode(self, observation: Any) -> np.ndarray:
        """Convert a batch of observations (B, ...) to components (B, D)."""
        raise NotImplementedError

    def clear(self, where: np.ndarray) -> None:
        """Reset the models of the episodes marked in a mask, bool (B,)."""
        raise NotImplementedError

    def log_prob(self, components: np.ndarray) -> np.ndarray:
        """Compute log p(o) in nats of components (B, D) under the observations so far, (B,) float64."""
        raise NotImplementedError

    def add(self, components: np.ndarray, where: np.ndarray) -> None:
        """Update the models of the marked episodes with components (B, D)."""
        raise NotImplementedError

    def parameters(self) -> np.ndarray:
        """Return the parameters theta of all models, (B, P) float32, a new array."""
        raise NotImplementedError

    def score(self, components: np.ndarray, where: np.ndarray) -> np.ndarray:
        """Compute log p(o) of components (B, D), 0 where not marked, (B,) float64, THEN update the models with them.

        The order matters: a model that has already seen the observation would not be surprised by it.
        """
        scores = np.where(where, self.log_prob(components), 0.0)
        self.add(components, where)
        return scores


def leaves(space: spaces.Space, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], spaces.Space]]:
    """List the leaf spaces of a space, each with the keys that lead to it."""
    if isinstance(space, spaces.Dict):
        return [leaf for name, part in space.spaces.items() for leaf in leaves(part, (*path, name))]
    return [(path, space)]


def columns(observation: Any, paths: list[tuple[str, ...]]) -> np.ndarray:
    """Concatenate the leaves of a batch of observations, (B, D)."""
    found = []
    for path in paths:
        part = observation
        for name in path:
            part = part[name]
        part = np.asarray(part)
        found.append(part.reshape(len(part), -1))
    return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


def whole_range(space: spaces.Space) -> tuple[np.ndarray, np.ndarray] | None:
    """Return least value and number of values of each component, int64 (D,); None if they are not finite integers."""
    if isinstance(space, spaces.Discrete):
        return np.array([space.start], np.int64), np.array([space.n], np.int64)
    if isinstance(space, spaces.MultiDiscrete):
        first = np.broadcast_to(space.start, space.nvec.shape)
        return first.ravel().astype(np.int64), space.nvec.ravel().astype(np.int64)
    if isinstance(space, spaces.MultiBinary):
        width = int(np.prod(space.shape))
        return np.zeros(width, np.int64), np.full(width, 2, np.int64)
    if isinstance(space, spaces.Box) and space.dtype.kind in "iub":
        low, high = space.low.ravel(), space.high.ravel()
        span = high.astype(np.float64) - low.astype(np.float64) + 1
        return (low.astype(np.int64), span.astype(np.int64)) if (span < 2**31).all() else None
    return None
