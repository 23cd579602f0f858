"""SurpriseReward: pay for observations that are likely under a density model of the episode so far (SMiRL)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_choice
from envzoo.surprise.density import make_density
from envzoo.wrappers.augment_observation import Joiner
from envzoo.wrappers.stateful import Tracker, TrackingWrapper, VectorTrackingWrapper

MEMORIES = ("episode", "lifetime")


class SurpriseTracker(Tracker):
    """The density models of B episodes; see `SurpriseReward` for the arguments and errors."""

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
        self._join = Joiner(space, entry, value)
        self.space = self._join.space
        self.arrays = self.density.arrays
        self.log_prob = np.zeros(num_envs)

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Forget what was before; the first observation is nobody's doing, and is neither paid for nor learned."""
        self.log_prob[where] = 0.0
        if self._memory == "episode" and where.any():
            self.density.clear(where)

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> np.ndarray:
        """The log-probabilities of the observations marked, which are learned then."""
        self.log_prob = self.density.score(self.density.encode(observation), where)
        return self.log_prob if self._clip is None else np.clip(self.log_prob, -self._clip, self._clip)

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the parameters of the models."""
        return self._join(observation, self.density.parameters()[rows])

    def infos(self) -> dict[str, np.ndarray]:
        """The log-probability before it was clipped."""
        return {"log_prob": self.log_prob.copy()}


class SurpriseReward(TrackingWrapper):
    """Replaces the reward of any environment by log p(o), p fitted to the observations of the episode before o.

    It is the reward of surprise-minimising RL (Berseth et al., "SMiRL", arXiv 1912.05510): an agent is paid for
    bringing about what it has seen already. The parameters of the model join the observation as the entry `density`
    (a vector of floats becomes longer by them, any other observation a Dict), because without them the reward would
    not be a function of what the agent sees; put `TimeInObservation` below for how much they rest on.
    `info["log_prob"]` holds log p(o) in nats before clipping, 0 after a reset. The observation of a reset is neither
    paid for nor learned from.

    `VectorSurpriseReward` does the same to a vector environment. Where the environment has `get_state` and
    `set_state`, the wrapper has them too, the models included.

    Args:
        env: The environment.
        density: "categorical", "bernoulli", "gaussian" or "auto"; see `envzoo.surprise.density.make_density`.
        memory: Whether the models forget everything with each "episode", or nothing in their "lifetime".
        clip: Rewards are clipped to plus and minus this many nats; None for no clipping.
        entry: Name of the parameters in the Dict.

    Raises:
        UnknownNameError: No such density or memory.
        UnsupportedSpaceError: No density model, or not the one asked for, fits the observation space.
        EnvzooError: `clip` is not positive, or the name is taken.
    """

    tracker_class = SurpriseTracker


class VectorSurpriseReward(VectorTrackingWrapper):
    """The vector face of `SurpriseReward`, with the same arguments."""

    tracker_class = SurpriseTracker
