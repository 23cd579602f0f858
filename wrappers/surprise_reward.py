"""SurpriseReward: reward observations that are likely under a density model of the episode's history (SMiRL)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_choice
from envzoo.surprise.density import make_density
from envzoo.wrappers.augment_observation import ObservationAugmenter
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker

MEMORIES = ("episode", "lifetime")


class SurpriseTracker(Tracker):
    """Density models of B episodes; see `SurpriseReward` for the arguments and errors."""

    name = "SurpriseReward"

    def __init__(
        self,
        space: spaces.Space,
        num_envs: int,
        density: str = "auto",
        memory: str = "episode",
        clip: float | None = 300.0,
        entry: str = "density",
    ) -> None:
        check_choice("memory", memory, MEMORIES)
        number = isinstance(clip, int | float | np.number) and not isinstance(clip, bool)
        if clip is not None and not (number and clip > 0):
            raise EnvzooError(f"clip is {clip!r}; expected a positive number or None")
        self.density = make_density(density, space, num_envs)
        self._memory, self._clip = memory, clip
        value = spaces.Box(self.density.low, self.density.high, dtype=np.float32)
        self._augment = ObservationAugmenter(space, entry, value)
        self.space = self._augment.space
        self.arrays = self.density.arrays
        self.log_prob = np.zeros(num_envs)

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Reset the models; the first observation is neither rewarded nor learned, as no action led to it."""
        self.log_prob[where] = 0.0
        if self._memory == "episode" and where.any():
            self.density.clear(where)

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> np.ndarray:
        """Return the log-probabilities of the marked observations, then update the models with them."""
        self.log_prob = self.density.score(self.density.encode(observation), where)
        return self.log_prob if self._clip is None else np.clip(self.log_prob, -self._clip, self._clip)

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the parameters of the models."""
        return self._augment(observation, self.density.parameters()[rows])

    def infos(self) -> dict[str, np.ndarray]:
        """Return the log-probability before clipping."""
        return {"log_prob": self.log_prob.copy()}


class SurpriseReward(StatefulWrapper):
    """Replaces the reward by log p(o), where p is fitted to the previous observations of the episode.

    This is the reward of surprise-minimising RL (Berseth et al., "SMiRL", arXiv 1912.05510): the agent is rewarded for
    observations similar to those it has already seen. The parameters of the model are added to the observation as the
    entry `density` (a float vector is extended by them, any other observation becomes a Dict), because without them the
    reward would not be a function of the observation; apply `TimeInObservation` first to include the number of
    observations they are based on. `info["log_prob"]` holds log p(o) in nats before clipping, 0 after a reset. The
    observation of a reset is neither rewarded nor learned.

    `VectorSurpriseReward` wraps vector environments. The wrapper supports `get_state` and `set_state`, including the
    models, if the environment does.

    Args:
        env: The environment.
        density: "categorical", "bernoulli", "gaussian" or "auto"; see `envzoo.surprise.density.make_density`.
        memory: When the models are reset: with each "episode", or never ("lifetime").
        clip: Rewards are clipped to [-clip, clip], in nats; None for no clipping.
        entry: Key of the parameters in the Dict.

    Raises:
        UnknownNameError: The density or memory is unknown.
        UnsupportedSpaceError: No density model, or not the requested one, supports the observation space.
        EnvzooError: `clip` is not positive, or the observation already has that entry.
    """

    tracker_class = SurpriseTracker


class VectorSurpriseReward(StatefulVectorWrapper):
    """Vector version of `SurpriseReward`, with the same arguments."""

    tracker_class = SurpriseTracker
