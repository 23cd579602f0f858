"""What all density models share: how an observation is read, and how its surprise is asked for."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces


class Density:
    """Independent components, one model for each of B episodes; episodes forget and learn apart from each other.

    Args:
        space: Observation space of one episode.
        num_envs: B.

    Attributes:
        name: Name for `make_density`.
        dim: D, number of components of an observation.
        size: P, number of parameters of one episode's model.
        low: Smallest value of each parameter, (P,) float32.
        high: Largest value, (P,) float32.
        arrays: The memory, arrays (B, ...) that are changed in place; `n` (B,) int64 counts the observations.

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
        """A batch of observations (B, ...) as components (B, D)."""
        raise NotImplementedError

    def clear(self, where: np.ndarray) -> None:
        """Forget all that was seen in the episodes marked, bool (B,)."""
        raise NotImplementedError

    def log_prob(self, components: np.ndarray) -> np.ndarray:
        """log p(o) in nats of components (B, D) under what was seen so far, (B,) float64."""
        raise NotImplementedError

    def add(self, components: np.ndarray, where: np.ndarray) -> None:
        """Take components (B, D) into the models of the episodes marked."""
        raise NotImplementedError

    def parameters(self) -> np.ndarray:
        """The parameters theta of all models, (B, P) float32, fresh."""
        raise NotImplementedError

    def score(self, components: np.ndarray, where: np.ndarray) -> np.ndarray:
        """log p(o) of components (B, D) BEFORE they are taken in, 0 where not marked, (B,) float64; then takes them in.

        The order matters: a model that has seen the observation already is never surprised by it.
        """
        scores = np.where(where, self.log_prob(components), 0.0)
        self.add(components, where)
        return scores


def leaves(space: spaces.Space, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], spaces.Space]]:
    """The parts of a space that hold no further parts, each with the keys that lead there."""
    if isinstance(space, spaces.Dict):
        return [leaf for name, part in space.spaces.items() for leaf in leaves(part, (*path, name))]
    return [(path, space)]


def columns(observation: Any, paths: list[tuple[str, ...]]) -> np.ndarray:
    """The parts of a batch of observations side by side, (B, D)."""
    found = []
    for path in paths:
        part = observation
        for name in path:
            part = part[name]
        part = np.asarray(part)
        found.append(part.reshape(len(part), -1))
    return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


def whole_range(space: spaces.Space) -> tuple[np.ndarray, np.ndarray] | None:
    """Smallest value and number of values of each component, int64 (D,); None when they are not finite integers."""
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
