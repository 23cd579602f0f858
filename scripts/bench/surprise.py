"""Steps per second of SurpriseRooms, against Minigrid's MultiRoom of the same size."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec

import gymnasium as gym
import numpy as np

import envzoo  # noqa: F401  (registers the environments)
from envzoo.scripts.bench import surprise_training
from envzoo.scripts.bench.report import Row, measure

DESCRIPTION = "steps per second of surprise environments on one thread, against Minigrid's MultiRoom of the same size"

EPISODES = 1024
TARGET = 100
# The compared environment: a grid of size 25 with 4 rooms of side 4 to 8 and a view of 7 by 7.
COMPARED = "envzoo/SurpriseRooms-Paper-v0"
STEPS = 128  # steps per episode
OTHERS = (
    "envzoo/SurpriseRooms-v0",
    "envzoo/SurpriseRooms-Balls-v0",
    "envzoo/NoisyTVRooms-v0",
    "envzoo/DarkRooms-v0",
    "envzoo/BlockChain-v0",
)
_UNIT = "million steps/s"
_PEER = "Minigrid MultiRoom, 4 rooms, grid of 25, view of 7"


def run(quick: bool = False) -> list[Row]:
    """Measure, and return one row for each of our environments and for Minigrid.

    Args:
        quick: Use fewer rounds.

    Returns:
        Rows in million environment steps per second, including resets and views with occlusion; `ratio` is the compared
        environment over Minigrid, from the best rounds. Then frames per second of training, and its parts.
    """
    return [*_worlds(3 if quick else 9), *surprise_training.rows(quick)]


def _worlds(repeats: int) -> list[Row]:
    """Measure the environments alone, with actions sampled in advance for both packages."""
    subjects: dict[str, tuple[Callable[[], object], int]] = {
        name: (_vector(name), EPISODES * STEPS) for name in (COMPARED, *OTHERS)
    }
    if find_spec("minigrid"):
        subjects[_PEER] = (_minigrid(), 8 * STEPS)
    timings = measure({name: function for name, (function, _) in subjects.items()}, repeats)
    rates = {name: steps / timings[name].best / 1e6 for name, (_, steps) in subjects.items()}
    rows = [Row(f"{name}, {EPISODES} episodes", rates[name], _UNIT) for name in (COMPARED, *OTHERS)]
    if _PEER in rates:
        note = "one environment, as Minigrid steps one at a time; its rooms are without noise"
        return [*rows, Row(_PEER, rates[_PEER], _UNIT, rates[COMPARED] / rates[_PEER], TARGET, note)]
    note = "not measured: minigrid cannot be imported; install it with pip install -c constraints.txt -e '.[bench]'"
    return [*rows, Row(_PEER, math.nan, _UNIT, None, TARGET, note)]


def _vector(name: str) -> Callable[[], object]:
    env = gym.make_vec(name, num_envs=EPISODES)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(env.single_action_space.n, size=(STEPS, EPISODES))

    def go() -> None:
        for chosen in actions:
            env.step(chosen)

    return go


def _minigrid() -> Callable[[], object]:
    from minigrid.envs import MultiRoomEnv

    env = MultiRoomEnv(minNumRooms=4, maxNumRooms=4, maxRoomSize=8, max_steps=STEPS, agent_view_size=7)
    if (env.width, env.height) != (25, 25):
        raise RuntimeError(f"Minigrid's MultiRoom has a grid of {env.width} by {env.height}; 25 by 25 was expected")
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(7, size=8 * STEPS).tolist()

    def go() -> None:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return go
