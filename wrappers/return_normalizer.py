"""ReturnNormalizer: divide rewards by the standard deviation of the discounted return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker

_EXPECTED = {
    "gamma": "a discount factor in [0, 1]",
    "epsilon": "a positive number",
    "clip": "a positive number or None",
}


class ReturnTracker(Tracker):
    """Tracker of the returns of B episodes and their variance; see `ReturnNormalizer` for the arguments and errors."""

    name = "ReturnNormalizer"

    def __init__(
        self,
        space: spaces.Space,
        num_envs: int,
        gamma: float = 0.99,
        epsilon: float = 1e-8,
        clip: float | None = None,
        frozen: bool = False,
    ) -> None:
        for name, value, fits in (
            ("gamma", gamma, lambda number: 0 <= number <= 1),
            ("epsilon", epsilon, lambda number: number > 0),
            ("clip", clip, lambda number: number > 0),
        ):
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not (number and fits(value)) and not (name == "clip" and value is None):
                raise EnvzooError(f"{name} is {value!r}; expected {_EXPECTED[name]}")
        self.space = space
        self._gamma, self._epsilon, self._clip, self._frozen = gamma, epsilon, clip, frozen
        # All episodes share the statistics. Every row keeps a copy, so that a captured state includes them whichever
        # episodes were chosen; rows differ only after restoring states captured at different times.
        self.arrays = {
            "returns": np.zeros(num_envs),
            "count": np.full(num_envs, 1e-4),
            "mean": np.zeros(num_envs),
            "variance": np.ones(num_envs),
        }

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Start with a return of 0."""
        self.arrays["returns"][where] = 0.0

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Do nothing: only rewards are tracked."""

    def reward(self, where: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """Update the statistics with the rewards and divide the rewards by the standard deviation."""
        arrays = self.arrays
        returns = arrays["returns"]
        returns[where] = self._gamma * returns[where] + rewards[where]
        batch = returns[where]
        if len(batch) and not self._frozen:
            self._merge(batch)
        scaled = rewards / np.sqrt(arrays["variance"] + self._epsilon)
        return scaled if self._clip is None else np.clip(scaled, -self._clip, self._clip)

    def _merge(self, batch: np.ndarray) -> None:
        """Merge a batch into the running mean and variance (Chan et al., 1979), in every row."""
        count, mean, variance = (self.arrays[name] for name in ("count", "mean", "variance"))
        total = count + len(batch)
        change = batch.mean() - mean
        squares = variance * count + batch.var() * len(batch) + change**2 * count * len(batch) / total
        mean += change * len(batch) / total
        variance[:] = squares / total
        count[:] = total

    def infos(self) -> dict[str, np.ndarray]:
        """Return the current divisor of the rewards."""
        return {"return_std": np.sqrt(self.arrays["variance"] + self._epsilon)}


class ReturnNormalizer(StatefulWrapper):
    """Divides rewards by the running standard deviation of the discounted return, without centring them.

    ret <- gamma ret + r at every step, 0 at a reset; r <- r / sqrt(Var(ret) + epsilon), where the variance is taken
    over all steps and episodes so far, including the current ones. Rewards keep their sign, and two opposite rewards
    still sum to zero. `info["return_std"]` is the divisor. `VectorReturnNormalizer` wraps vector environments, with one
    variance for all episodes. The wrapper supports `get_state` and `set_state`, including the statistics, if the
    environment does (Gymnasium's NormalizeReward has neither).

    Args:
        env: The environment.
        gamma: Discount factor.
        epsilon: Added to the variance.
        clip: Normalised rewards are clipped to [-clip, clip]; None for no clipping.
        frozen: Do not update the statistics, for evaluation.

    Raises:
        EnvzooError: A number is out of range.
    """

    tracker_class = ReturnTracker


class VectorReturnNormalizer(StatefulVectorWrapper):
    """Vector version of `ReturnNormalizer`, with the same arguments."""

    tracker_class = ReturnTracker
