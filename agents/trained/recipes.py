"""Recipes of the pretrained agents: what `envzoo.scripts.pretrain` trains, with one seed each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SEED = 0


@dataclass(frozen=True)
class TrainingRecipe:
    """How one pretrained agent is made.

    Attributes:
        agent: Name of the agent.
        source: Id of the environment.
        timesteps: Budget.
        hyperparameters: Hyperparameters that differ from the defaults.
        deterministic: Whether its score is that of the policy's mode instead of sampled actions.
    """

    agent: str
    source: str
    timesteps: int
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    deterministic: bool = True

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.agent}-{self.source.rpartition('/')[2]}.zip"


_NARROW = {"hidden": (16, 16)}  # the observations of these are one-hot, so the first layer is most of the file
_SMALL = {"hidden": (32, 32)}
_COVER = {"policy": "mlp", "hidden": (32, 32), "num_envs": 128, "learning_rate": 0.003, "entropy_coefficient": 0.5}

RECIPES = (
    TrainingRecipe("SubPO", "envzoo/GridCoverage-v0", 600_000, _COVER, deterministic=False),
    TrainingRecipe("SubPO", "envzoo/ItemCollection-v0", 400_000, _COVER, deterministic=False),
    TrainingRecipe("SubPO", "envzoo/Biodiversity-v0", 400_000, _COVER | _NARROW, deterministic=False),
    TrainingRecipe("SubPO", "envzoo/InformativePathPlanning-v0", 400_000, _COVER | _NARROW, deterministic=False),
    TrainingRecipe("SubPO", "envzoo/TwoRoomsCoverage-v0", 400_000, _COVER, deterministic=False),
    TrainingRecipe("PPO", "CartPole-v1", 100_000, _SMALL),
    TrainingRecipe("PPO", "envzoo/Darkroom-v0", 100_000, _SMALL),
    TrainingRecipe("PPO", "envzoo/PointMultiGoal-v0", 100_000, _SMALL),
    TrainingRecipe("PPO", "envzoo/TMaze-v0", 150_000, {"encoder": "gru", "hidden": (32,)}),
    TrainingRecipe("PPO", "envzoo/RepeatFirst-v0", 150_000, {"encoder": "gru", "hidden": (32,)}),
    TrainingRecipe("QLearning", "envzoo/CliffGrid-v0", 40_000, {"final_epsilon": 0.0}),
    TrainingRecipe("QLearning", "envzoo/SlipLake-v0", 60_000, {"final_epsilon": 0.0, "rate_decay": 0.6}),
)
