"""Base of the offline agents with a stochastic policy, for Box and Discrete actions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.loops.fine_tuning import FineTunableAgent
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.rescaled_actions import UnitActionCodec
from envzoo.agents.offline.config import OfflineConfig
from envzoo.agents.offline.networks import CategoricalPolicy, GaussianPolicy
from envzoo.datasets.table import TransitionTable


class OfflineActorCritic(FineTunableAgent):
    """An offline agent that acts with `policy`; Box actions are scaled to [-1, 1].

    Attributes:
        policy: Set by `build`.
    """

    config: OfflineConfig
    policy: GaussianPolicy | CategoricalPolicy

    def build_actions(self) -> ActionCodec:
        """Create the action codec; a Box must be bounded."""
        actions = super().build_actions()
        return actions if actions.discrete else UnitActionCodec(self.source.action_space, self.spec.name)

    def prepare(self, table: TransitionTable) -> TransitionTable:
        """Shape the rewards."""
        return self.config.shape_rewards(table)

    def shape_reward(self, reward: np.ndarray) -> np.ndarray:
        """Shape rewards of the environment."""
        return self.config.shape_reward(reward)

    def act(self, x: Tensor, generator: torch.Generator, deterministic: bool) -> Tensor:
        """Select actions: the mode of the policy, or samples."""
        return self.policy.act(x, generator, deterministic)
