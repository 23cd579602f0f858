"""Hyperparameters that PPO has where the environment's reward does not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envzoo.agents.actor_critic.ppo import PPOConfig


@dataclass(frozen=True)
class WithoutRewardsConfig(PPOConfig):
    """Hyperparameters of PPO for learning from a reward of the agent's own."""

    num_envs: int = 64
    """Environments stepped side by side."""
    num_steps: int = 64
    """Steps per environment and rollout."""
    num_epochs: int = 4
    """Passes over a rollout."""
    learning_rate: float = 3e-4
    """Adam's learning rate of actor and critic."""
    anneal: Literal["none", "learning_rate", "both"] = "none"
    """What falls linearly to zero over the budget: nothing, the learning rate, or it and the clip range."""
    entropy_coefficient: float = 0.01
    """Weight of the entropy bonus in nats."""
