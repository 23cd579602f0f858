"""Hyperparameters that all offline agents of this family share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from envzoo.agents.spec import require
from envzoo.datasets.table import TransitionTable


@dataclass(frozen=True)
class OfflineConfig:
    """Hyperparameters of learning from a dataset."""

    batch_size: int = 256
    """Transitions per gradient step."""
    steps_per_iteration: int = 500
    """Gradient steps per iteration (one row of metrics)."""
    learning_rate: float = 3e-4
    """Learning rate."""
    gamma: float = 0.99
    """Discount factor."""
    reward_scale: float = 1.0
    """Factor by which the rewards of the dataset are multiplied before learning."""
    reward_shift: float = 0.0
    """Number that is added to every reward after scaling."""
    normalize_observations: bool = True
    """Normalise each column of Box observations to mean 0 and standard deviation 1 over the dataset."""
    encoder: Literal["auto", "mlp", "cnn"] = "auto"
    """Encoder of the observation; auto selects cnn for images and mlp otherwise."""
    hidden: tuple[int, ...] = (256, 256)
    """Hidden layer sizes of all networks."""
    activation: str = "relu"
    """Activation function of the hidden layers: tanh, relu, gelu or silu."""
    optimizer: str = "adam"
    """Optimizer: adam, adamw, sgd; with 8-bit statistics adam8bit, adamw8bit, momentum8bit or lion8bit."""

    def __post_init__(self):
        agent = type(self).__name__.removesuffix("Config")
        for name in ("batch_size", "steps_per_iteration"):
            require(getattr(self, name) >= 1, f"{name} of {agent} is at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "reward_scale"):
            require(getattr(self, name) > 0, f"{name} of {agent} is positive, got {getattr(self, name)}")
        require(0 <= self.gamma <= 1, f"gamma of {agent} lies in [0, 1], got {self.gamma}")

    def shape_rewards(self, table: TransitionTable) -> TransitionTable:
        """Return the table with scaled and shifted rewards."""
        if self.reward_scale == 1 and self.reward_shift == 0:
            return table
        return table.map_rewards(self.shape_reward)

    def shape_reward(self, reward: np.ndarray) -> np.ndarray:
        """Scale and shift rewards."""
        return self.reward_scale * reward + self.reward_shift


def require_positive(config: OfflineConfig, *names: str) -> None:
    """Raise EnvzooError unless these hyperparameters are positive."""
    agent = type(config).__name__.removesuffix("Config")
    for name in names:
        require(getattr(config, name) > 0, f"{name} of {agent} is positive, got {getattr(config, name)}")


def require_at_least_zero(config: OfflineConfig, *names: str) -> None:
    """Raise EnvzooError unless these hyperparameters are at least 0."""
    agent = type(config).__name__.removesuffix("Config")
    for name in names:
        require(getattr(config, name) >= 0, f"{name} of {agent} is at least 0, got {getattr(config, name)}")
