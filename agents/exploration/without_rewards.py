"""Hyperparameter defaults of PPO agents that are trained without the environment's reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envzoo.agents.actor_critic.ppo import PPOConfig


@dataclass(frozen=True)
class WithoutRewardsConfig(PPOConfig):
    """Hyperparameters of PPO agents that are trained on an intrinsic reward only."""

    num_envs: int = 64
    """Number of parallel environments."""
    num_steps: int = 64
    """Steps per environment and rollout."""
    num_epochs: int = 4
    """Number of epochs per rollout."""
    learning_rate: float = 3e-4
    """Adam's learning rate of actor and critic."""
    anneal: Literal["none", "learning_rate", "both"] = "none"
    """Quantities annealed linearly to zero over the timestep budget: none, the learning rate, or both it and the clip
    range."""
    entropy_coefficient: float = 0.01
    """Coefficient of the entropy bonus (nats)."""
