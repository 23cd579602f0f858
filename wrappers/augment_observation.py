"""Adds a value to an observation of any space."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.moved import former_names


class ObservationAugmenter:
    """Adds a value to observations, single or batched.

    A Dict observation gains one entry. If the observation and the value are both integer vectors (Discrete or
    MultiDiscrete) or both float vectors (Box), they are concatenated into one vector of that kind, so that tabular
    agents and plain networks still support it. Any other observation becomes a Dict with the keys `observation` and
    `name`.

    Args:
        inner: Observation space of one episode.
        name: Key of the value if the result is a Dict.
        value: Space of the value: MultiDiscrete or Box of shape (length,), or any space for a Dict.

    Attributes:
        space: Space of the augmented observation.

    Raises:
        EnvzooError: The Dict already has an entry of that name.
    """

    def __init__(self, inner: spaces.Space, name: str, value: spaces.Space) -> None:
        if not isinstance(name, str):
            raise EnvzooError(f"entry is {name!r}; expected a string")
        self._name = name
        self._kind = "wrap"
        if isinstance(inner, spaces.Dict):
            if name in inner.spaces:
                raise EnvzooError(f"the observation has an entry {name!r} already; expected another name")
            self._kind = "entry"
            self.space = spaces.Dict({**inner.spaces, name: value})
        elif isinstance(value, spaces.MultiDiscrete) and _is_discrete(inner):
            self._kind = "vector"
            counts, first = _counts(inner)
            self.space = spaces.MultiDiscrete(
                np.concatenate([counts, value.nvec]), start=np.concatenate([first, _counts(value)[1]])
            )
        elif isinstance(value, spaces.Box) and _is_floats(inner) and _is_floats(value):
            self._kind = "vector"
            low, high = np.concatenate([inner.low, value.low]), np.concatenate([inner.high, value.high])
            self.space = spaces.Box(low.astype(inner.dtype), high.astype(inner.dtype), dtype=inner.dtype)
        else:
            self.space = spaces.Dict({"observation": inner, name: value})
        self._flat = isinstance(inner, spaces.Discrete)

    def __call__(self, observation: Any, value: np.ndarray) -> Any:
        """Return the augmented observation, a new object; both batched (B, ...) or both of one episode."""
        if self._kind == "entry":
            return {**observation, self._name: value}
        if self._kind == "wrap":
            return {"observation": observation, self._name: value}
        observation = np.asarray(observation)
        parts = [observation[..., None] if self._flat else observation, value]
        return np.concatenate(parts, axis=-1).astype(self.space.dtype, copy=False)


def _is_discrete(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Discrete) or (isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1)


def _is_floats(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f"


def _counts(space: spaces.Space) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(space, spaces.Discrete):
        return np.array([space.n]), np.array([space.start])
    return space.nvec, np.broadcast_to(space.start, space.nvec.shape)


__getattr__ = former_names(__name__, {"Joiner": f"{__name__}:ObservationAugmenter"})
