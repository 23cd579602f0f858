"""Presets: hyperparameters found by `envzoo tune`, with their scores on fresh seeds (presets.toml beside this file)."""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.scripts.experiments.core.intervals import Interval, interval
from envzoo.scripts.run_config import to_toml
from envzoo.scripts.tuning import Study

FILE = Path(__file__).with_name("presets.toml")
IMAGES = "envzoo.wrappers.minigrid_images:MiniGridImage"
# Pairs of agent and environment that presets are meant for, with the budgets of training.
PAIRS = (
    ("PPO", "CartPole-v1", 20_000),
    ("PPO", "Acrobot-v1", 100_000),
    ("PPO", IMAGES + "-Empty-5x5-v0", 50_000),
    ("PPO", IMAGES + "-DoorKey-5x5-v0", 200_000),
    ("PPO", "envzoo/GridCoverage-v0", 100_000),
    ("PPO", "envzoo/RacetrackCoverage-v0", 100_000),
    ("SAC", "Pendulum-v1", 10_000),
    ("SAC", "envzoo/PointMultiGoal-v0", 10_000),
    ("SACDiscrete", "CartPole-v1", 10_000),
    ("DQN", "CartPole-v1", 25_000),
)


@dataclass(frozen=True)
class Preset:
    """Hyperparameters of an agent for an environment.

    Attributes:
        agent: Name of the agent.
        source: Id of the environment.
        timesteps: Budget of training that they were found and scored with.
        trials: Trials of the search.
        minutes: Processor minutes of the search.
        scores: Mean return of the agents trained with each fresh seed.
        default_scores: Those of the agent's defaults, with the same seeds.
        hyperparameters: Those that differ from the defaults.
    """

    agent: str
    source: str
    timesteps: int
    trials: int
    minutes: float
    scores: tuple[float, ...]
    default_scores: tuple[float, ...]
    hyperparameters: Mapping[str, Any]

    @property
    def mean(self) -> Interval:
        """Mean score with its 95% interval over seeds."""
        return interval(np.array(self.scores))

    @property
    def default_mean(self) -> Interval:
        """Mean score of the defaults with its interval."""
        return interval(np.array(self.default_scores))

    @property
    def gain(self) -> Interval:
        """Mean difference from the defaults over the seeds, with its interval."""
        return interval(np.array(self.scores) - np.array(self.default_scores))


@functools.cache
def presets() -> tuple[Preset, ...]:
    """Read all presets."""
    found = tomllib.loads(FILE.read_text(encoding="utf-8")).get("preset", [])
    return tuple(
        Preset(**{**row, "scores": tuple(row["scores"]), "default_scores": tuple(row["default_scores"])})
        for row in found
    )


def find_preset(agent: str, source: str) -> Preset:
    """Find the preset of an agent and an environment.

    Raises:
        EnvzooError: There is none; the sentence names those there are.
    """
    for preset in presets():
        if (preset.agent, preset.source) == (agent, source):
            return preset
    known = ", ".join(f"{preset.agent} for {preset.source}" for preset in presets())
    raise EnvzooError(f"there is no preset of {agent} for {source}; the presets are {known}")


def preset_of(study: Study) -> str:
    """Write the result of a finished search as an entry of presets.toml."""
    settings, seeds = study.settings, sorted(study.scores["preset"], key=int)
    facts = {
        "agent": settings.agent,
        "source": settings.source,
        "timesteps": settings.timesteps,
        "trials": len(study.trials),
        "minutes": round(study.minutes, 2),
        "scores": [study.scores["preset"][seed] for seed in seeds],
        "default_scores": [study.scores["defaults"][seed] for seed in seeds],
    }
    lines = ["[[preset]]", *(f"{name} = {to_toml(value)}" for name, value in facts.items())]
    lines += ["", "[preset.hyperparameters]"]
    lines += [f"{json.dumps(name)} = {to_toml(value)}" for name, value in study.best["values"].items()]
    return "\n".join(lines) + "\n"
