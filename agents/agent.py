"""The agent contract: a learner that acts."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np
import torch

from envzoo.agents.callback import Callback
from envzoo.agents.learner import Learner, NoConfig, choose_device, is_json

__all__ = [
    "Agent",
    "Callback",
    "Learner",
    "MaskedPredict",
    "NoConfig",
    "PredictArguments",
    "choose_device",
    "is_json",
]


class Agent(Learner):
    """Base of all agents: learners that choose actions in environments or games.

    A subclass implements `predict` besides what a `Learner` needs. One that honours action masks inherits from
    `MaskedPredict` as well, or gives its own `predict` the keyword `action_mask` (see `envzoo.action_masks`).
    """

    @abstractmethod
    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Choose actions for observations, with the signature of Stable-Baselines3.

        Args:
            observation: One observation of the space, or a batch of them; in a game a dict by player.
            state: What the previous call returned (memory of recurrent policies and planners), None at first.
            episode_start: (B,) bool, which observations open an episode.
            deterministic: The mode of the policy rather than a sample.

        Agents for discrete actions also take `action_mask`, (B, A) or (A,) zeros and ones as in `info["action_mask"]`
        (in a game a dict by player), and choose among the actions that it allows.

        Returns:
            Action (batched exactly if the observation is) and the state for the next call.
        """

    def set_env(self, env: Any) -> None:
        """Set the environment in which the agent will act; planners inspect it, other agents ignore it."""


class PredictArguments(NamedTuple):
    """Arguments of `predict` besides the observation; see `Agent.predict`."""

    state: Any
    episode_start: np.ndarray | None
    deterministic: bool
    action_mask: np.ndarray | None


class MaskedPredict:
    """Mixin of agents that honour action masks: a `predict` with the keyword `action_mask`.

    A subclass implements `_predict(observation, arguments)`, which is called without recording gradients.
    """

    @torch.no_grad()
    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
        action_mask: np.ndarray | None = None,
    ) -> tuple[Any, Any]:
        """Choose actions among those that `action_mask` allows; see `Agent.predict`."""
        return self._predict(observation, PredictArguments(state, episode_start, deterministic, action_mask))

    def _predict(self, observation: Any, asked: PredictArguments) -> tuple[Any, Any]:
        raise NotImplementedError
