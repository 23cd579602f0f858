"""MultiReward: mix the parts of a reward with weights that depend on the domain (arXiv 2507.20150)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError, UnknownNameError, shorten
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker


class MultiRewardTracker(Tracker):
    """Mixed rewards of B episodes; see `MultiReward` for the arguments and errors."""

    name = "MultiReward"

    def __init__(
        self, space: spaces.Space, num_envs: int, weights: Any, key: str = "rewards", domain: str = "domain"
    ) -> None:
        try:
            table = np.array(weights, np.float64)
        except (TypeError, ValueError):
            table = np.empty(0)
        if table.ndim not in (1, 2) or 0 in table.shape or not np.isfinite(table).all():
            raise EnvzooError(f"weights have the shape {table.shape}; expected (K,), or (domains, K) finite numbers")
        for name, value in (("key", key), ("domain", domain)):
            if not isinstance(value, str):
                raise EnvzooError(f"{name} is {shorten(repr(value))}; expected a key of info")
        self._weights, self._key, self._domain = table, key, domain
        self.info_keys = (key,) if table.ndim == 1 else (key, domain)
        self.space, self.arrays = space, {"mixed": np.zeros(num_envs)}

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Nothing is earned by a reset."""
        self.arrays["mixed"][where] = 0.0

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> np.ndarray:
        """Mix the parts."""
        for name in self.info_keys:
            if name not in infos:
                raise UnknownNameError(f"info has no {name!r} for MultiReward to read")
        parts = np.asarray(infos[self._key])
        if parts.dtype.kind not in "iubf":
            raise EnvzooError(f"info[{self._key!r}] holds no numbers for MultiReward to mix")
        count = self._weights.shape[-1]
        parts = parts[:, None] if parts.ndim == 1 else parts
        if parts.shape != (where.size, count):
            raise EnvzooError(f"info[{self._key!r}] has the shape {parts.shape}; expected {(where.size, count)}")
        weights = self._weights
        if weights.ndim == 2:
            domain = np.asarray(infos[self._domain])
            if domain.dtype.kind not in "iu" or (where & ((domain < 0) | (domain >= len(weights)))).any():
                raise EnvzooError(f"info[{self._domain!r}] is no domain; expected 0 to {len(weights) - 1}")
            weights = weights[np.where(where, domain, 0)]
        mixed = np.where(where, (weights * parts).sum(axis=1), 0.0)
        self.arrays["mixed"][:] = mixed
        return mixed


class MultiReward(StatefulWrapper):
    """Replaces the reward by sum_k w_k(d) R_k: several reward models, weighted by the domain of the episode.

    R_k are the entries of `info["rewards"]` (one number is one entry), d is `info["domain"]`. Where the best action for
    one weight is not the best for another, it jumps at some weight in between, although the mixture changes
    continuously.
    `VectorMultiReward` wraps vector environments.

    ```python
    env = MultiReward(gym.make("envzoo/TraceChoice-v0"), [[1, 0], [1, 0.1], [0, 1]])
    ```

    Args:
        env: The environment.
        weights: (K,) weights for all domains, or (domains, K).
        key: Key of the parts in `info`.
        domain: Key of the domain in `info`.

    Raises:
        EnvzooError: The weights are not usable, or at a step do not fit what `info` holds.
        UnknownNameError: At a step, `info` lacks an entry.
    """

    tracker_class = MultiRewardTracker


class VectorMultiReward(StatefulVectorWrapper):
    """Vector version of `MultiReward`, with the same arguments."""

    tracker_class = MultiRewardTracker
