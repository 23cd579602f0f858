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


_FEWER = {"num_envs": 64}  # a file holds the state of all environments, which is large in these worlds
_SMALL = {"hidden": (32, 32)}
_COVER = {"policy": "mlp", "hidden": (32, 32), "num_envs": 128, "learning_rate": 0.003, "entropy_coefficient": 0.5}

RECIPES = (
    TrainingRecipe("SubPO", "envzoo/GridCoverage-v0", 600_000, _COVER, deterministic=False),
    TrainingRecipe("SubPO", "envzoo/ItemCollection-v0", 400_000, _COVER, deterministic=False),
    TrainingRecipe("SubPO", "envzoo/Biodiversity-v0", 400_000, _COVER | _FEWER, deterministic=False),
    TrainingRecipe("SubPO", "envzoo/InformativePathPlanning-v0", 400_000, _COVER | _FEWER, deterministic=False),
    TrainingRecipe("SubPO", "envzoo/TwoRoomsCoverage-v0", 400_000, _COVER, deterministic=False),
    TrainingRecipe("PPO", "CartPole-v1", 100_000, _SMALL),
    TrainingRecipe("PPO", "envzoo/Darkroom-v0", 100_000, _SMALL),
    TrainingRecipe("PPO", "envzoo/PointMultiGoal-v0", 100_000, _SMALL),
    TrainingRecipe(
        "QLearning", "envzoo/BernoulliBandit-v0", 20_000, {"gamma": 0.0, "rate_decay": 1.0, "learning_rate": 1.0}
    ),
    TrainingRecipe("PeriodicPlanner", "envzoo/LSDBandit-v0", 1),
)
