"""Steps per second of SurpriseRooms, against the MultiRoom of Minigrid (Python) and of EnvPool (C++)."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec

import gymnasium as gym
import numpy as np

import envzoo  # noqa: F401  (registers the environments)
from envzoo.scripts.bench import surprise_training
from envzoo.scripts.bench.report import Row, measure

DESCRIPTION = "steps per second of surprise environments on one thread, against the MultiRoom of Minigrid and EnvPool"

EPISODES = 1024
TARGET = 100
ENVPOOL_TARGET = 15
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
ENVPOOL_ID = "MiniGrid-MultiRoom-N6-v0"
_ENVPOOL = f"EnvPool {ENVPOOL_ID}, {EPISODES} episodes, 1 thread"


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
    seen = {}
    if find_spec("envpool"):
        function, seen = _envpool()
        subjects[_ENVPOOL] = (function, EPISODES * STEPS)
    if find_spec("minigrid"):
        subjects[_PEER] = (_minigrid(), 8 * STEPS)
    timings = measure({name: function for name, (function, _) in subjects.items()}, repeats)
    rates = {name: steps / timings[name].best / 1e6 for name, (_, steps) in subjects.items()}
    rows = [Row(f"{name}, {EPISODES} episodes", rates[name], _UNIT) for name in (COMPARED, *OTHERS)]
    notes = {
        _PEER: "one environment, as Minigrid steps one at a time; its rooms are without noise",
        _ENVPOOL: (
            f"its observations: {_sizes(seen)}; ours: {_sizes(_our_sizes())}. Both views are 7 x 7 with occlusion, and"
            " resets with new levels are included. Its level has 6 rooms of 4 to 10 cells and ours 4 of 4 to 8, on"
            f" grids of 25 x 25; its rooms are without noise; its episodes last at most 120 steps, ours {STEPS}"
        ),
    }
    for peer, package, target in ((_PEER, "minigrid", TARGET), (_ENVPOOL, "envpool", ENVPOOL_TARGET)):
        if peer in rates:
            rows.append(Row(peer, rates[peer], _UNIT, rates[COMPARED] / rates[peer], target, notes[peer]))
        else:
            cure = "install it with pip install -c constraints.txt -e '.[bench]'"
            rows.append(Row(peer, math.nan, _UNIT, None, target, f"not measured: {package} cannot be imported; {cure}"))
    return rows


def _sizes(observations: dict[str, np.ndarray]) -> str:
    """Describe the arrays of a batch of observations, per episode."""
    parts = (f"{name} {'x'.join(map(str, x.shape[1:])) or '1'} {x.dtype}" for name, x in observations.items())
    return ", ".join(parts)


def _our_sizes() -> dict[str, np.ndarray]:
    observation, _ = gym.make_vec(COMPARED, num_envs=1).reset(seed=0)
    return observation if isinstance(observation, dict) else {"view": observation}


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


def _envpool() -> tuple[Callable[[], object], dict[str, np.ndarray]]:
    """Make a function that steps EnvPool's MultiRoom, and its first observations."""
    import envpool

    env = envpool.make_gymnasium(ENVPOOL_ID, num_envs=EPISODES, num_threads=1, seed=0)
    observation, _ = env.reset()
    actions = np.random.default_rng(0).integers(7, size=(STEPS, EPISODES))

    def go() -> None:
        for chosen in actions:
            env.step(chosen)

    return go, observation if isinstance(observation, dict) else {"view": observation}
