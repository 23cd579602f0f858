"""Hyperparameter defaults of PPO agents that are trained without the environment's reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envzoo.agents.actor_critic.ppo import PPOConfig


@dataclass(frozen=True)
class WithoutRewardsConfig(PPOConfig):
    """Hyperparameters of PPO agents that are trained on an intrinsic reward only."""

    num_envs: int = 64
    num_steps: int = 64
    num_epochs: int = 4
    learning_rate: float = 3e-4
    """Adam's learning rate of actor and critic."""
    anneal: Literal["none", "learning_rate", "both"] = "none"
    entropy_coefficient: float = 0.01
