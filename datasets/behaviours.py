"""Scripted behaviour policies of the recipes.

Each function takes the definition of the environment, a seed and settings, and returns a function with the signature of
`predict` (see `envzoo.datasets.recipes.ScriptedPolicy`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete

from envzoo.errors import unknown
from envzoo.offline.finite_world import FiniteWorld
from envzoo.offline.planning import optimal_values

BAND = 1.25  # width of the stretches of LineWorld
# Probability of a step to the right in even and odd stretches.
STRETCHES = {"easy": (1.0, 1.0), "striped": (1.0, 0.0), "hard": (0.9, 0.02)}
# Waypoints of the two logged paths of PointMazeStitch, and of the way from the start to the goal.
LOWER = ((1.5, 3.0), (4.5, 3.0), (5.0, 1.0))
UPPER = ((1.5, 3.0), (4.5, 3.0), (5.0, 5.0))
DIRECT = ((1.9, 2.2), (3.8, 3.8), (5.0, 5.0))
# Places that WindyPoint's policy steers to: lowest and highest (x, y).
STEERING = {
    "goal": ((1.0, 1.0), (1.0, 1.0)),
    "left": ((-1.8, -1.8), (-0.2, 1.8)),
    "everywhere": ((-1.8, -1.8), (1.8, 1.8)),
}
REACH = 0.3  # distance at which the next waypoint is headed for


def stretches(definition: Any, seed: int, style: str):
    """Make the policy of LineWorld that steps right or left by stretch, at a speed uniform on [0.5, 1]."""
    if style not in STRETCHES:
        raise unknown("style", style, STRETCHES)
    generator = np.random.default_rng(seed)
    right = np.array(STRETCHES[style])

    def predict(observation, state, episode_start, deterministic):
        stretch = (observation[:, 0] // BAND).astype(np.int64) % 2
        sign = np.where(generator.random(len(observation)) < right[stretch], 1.0, -1.0)
        speed = generator.uniform(0.5, 1.0, len(observation))
        return (sign * speed).astype(np.float32)[:, None], state

    return predict


def drift(definition: Any, seed: int, mean: float, spread: float):
    """Make the policy whose actions are uniform within `spread` of `mean`, clipped to the action space."""
    generator = np.random.default_rng(seed)
    space = definition.action_space

    def predict(observation, state, episode_start, deterministic):
        actions = generator.uniform(mean - spread, mean + spread, (len(observation), *space.shape))
        return np.clip(actions, space.low, space.high).astype(space.dtype), state

    return predict


def follow_paths(definition: Any, seed: int, noise: float, direct: bool = False):
    """Make the policy of PointMazeStitch that follows waypoints, with normal noise on its actions.

    Args:
        definition: The environment.
        seed: Seed of the noise.
        noise: Standard deviation of the noise.
        direct: Go from the lower left to the goal; otherwise to the lower right from below, to the goal from above.
    """
    generator = np.random.default_rng(seed)
    lower = np.array(DIRECT if direct else LOWER)
    paths = np.stack([lower, np.array(UPPER)])

    def predict(observation, state, episode_start, deterministic):
        here = np.asarray(observation, np.float64)
        if state is None:
            state = (np.zeros(len(here), np.int64), np.zeros(len(here), np.int64))
        path = np.where(episode_start, (here[:, 1] > 3).astype(np.int64), state[0])
        target = np.where(episode_start, 0, state[1])
        near = np.linalg.norm(paths[path, target] - here, axis=1) < REACH
        target = np.minimum(target + near, paths.shape[1] - 1)
        away = (paths[path, target] - here) / 0.3
        away /= np.maximum(1.0, np.abs(away).max(axis=1, keepdims=True))
        action = np.clip(away + noise * generator.standard_normal(away.shape), -1, 1)
        return action.astype(np.float32), (path, target)

    return predict


def nearly_optimal(definition: FiniteWorld, seed: int, horizon: int, epsilon: float):
    """Make the policy of a finite world that takes a best action, or with probability `epsilon` any action.

    Best is the largest expected return in the steps that are left of `horizon`.
    """
    generator = np.random.default_rng(seed)
    best = optimal_values(definition.model(), horizon).argmax(axis=-1)
    actions = int(definition.action_space.n)

    def predict(observation, state, episode_start, deterministic):
        cell = np.asarray(observation)
        left = np.full(len(cell), horizon) if state is None else state
        left = np.where(episode_start, horizon, left)
        chosen = best[np.maximum(left, 1), cell]
        explore = generator.random(len(cell)) < epsilon
        return np.where(explore, generator.integers(actions, size=len(cell)), chosen), left - 1

    return predict


def choose_arms(definition: FiniteWorld, seed: int, good: float):
    """Make the policy of a bandit with two arms that pulls the arm of larger mean reward with probability `good`."""
    generator = np.random.default_rng(seed)
    best = int(definition.model().r[0].argmax())

    def predict(observation, state, episode_start, deterministic):
        return np.where(generator.random(len(observation)) < good, best, 1 - best), state

    return predict


def steer(definition: Any, seed: int, area: str, noise: float):
    """Make the policy of WindyPoint that steers to a place, which each episode draws anew.

    Args:
        definition: The environment.
        seed: Seed of the places and of the noise.
        area: Where the places lie: "goal", "left" (x below 0) or "everywhere".
        noise: Standard deviation of normal noise on the actions.
    """
    if area not in STEERING:
        raise unknown("area", area, STEERING)
    generator, (low, high) = np.random.default_rng(seed), STEERING[area]

    def predict(observation, state, episode_start, deterministic):
        here = np.asarray(observation, np.float64)
        drawn = generator.uniform(low, high, (len(here), 2))
        target = drawn if state is None else np.where(episode_start[:, None], drawn, state)
        force = 5.0 * (target - here[:, :2]) - 5.0 * here[:, 2:]
        action = np.clip(force + noise * generator.standard_normal(target.shape), -1, 1)
        return action.astype(np.float32), target

    return predict


def walk(definition: Any, seed: int):
    """Make the policy of a dark room that walks to the goal, which it knows, and stays there."""
    goal, moves = definition.parameters.goal, definition.parameters.moves

    def predict(observation, state, episode_start, deterministic):
        there = np.asarray(observation, np.int64)[:, None] + moves
        return np.abs(there - goal).sum(axis=2).argmin(axis=1), state

    return predict


def fetch(definition: Any, seed: int):
    """Make the policy of a dark room with a key and a door that walks to the key and then to the door."""
    key, door, moves = definition.parameters.goal, definition.parameters.door, definition.parameters.moves

    def predict(observation, state, episode_start, deterministic):
        here = np.asarray(observation, np.int64)
        held = np.zeros(len(here), bool) if state is None else state
        # Being at the key at the start does not count: only a step onto it does.
        held = ~episode_start & (held | (here == key).all(axis=1))
        target = np.where(held[:, None], door, key)
        there = here[:, None] + moves
        return np.abs(there - target[:, None]).sum(axis=2).argmin(axis=1), held

    return predict


def draw_actions(definition: Any, seed: int, probabilities: Sequence[float]):
    """Make the policy that draws Discrete actions with the same probabilities everywhere."""
    generator, actions = np.random.default_rng(seed), int(definition.action_space.n)

    def predict(observation, state, episode_start, deterministic):
        return generator.choice(actions, size=len(observation), p=np.asarray(probabilities)), state

    return predict


# The best policies of the worlds, by name: a function above and its settings.
EXPERTS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "right": (drift, {"mean": 1.0, "spread": 0.0}),
    "waypoints": (follow_paths, {"noise": 0.0, "direct": True}),
    "wind": (steer, {"area": "goal", "noise": 0.0}),
    "model": (nearly_optimal, {"epsilon": 0.0}),
    "goal": (walk, {}),
    "key": (fetch, {}),
}


def explore(definition: Any, seed: int, expert: str, low: float, high: float, either: bool = False, horizon: int = 0):
    """Make a policy that follows an expert, but in some steps takes a uniformly random action.

    The share of random steps is drawn anew for each episode: uniform on [low, high], or one of both.

    Args:
        definition: The environment.
        seed: Seed of the shares and of the random actions.
        expert: A name of `EXPERTS`.
        low: Smallest share of random steps.
        high: Largest share of random steps.
        either: Draw `low` or `high`, each for half of the episodes, and nothing between them.
        horizon: Steps of an episode, for the expert "model".
    """
    if expert not in EXPERTS:
        raise unknown("expert", expert, EXPERTS)
    make, settings = EXPERTS[expert]
    best = make(definition, seed, **settings, **({"horizon": horizon} if expert == "model" else {}))
    generator, space = np.random.default_rng([seed, 1]), definition.action_space

    def predict(observation, state, episode_start, deterministic):
        count = len(episode_start)
        drawn = generator.uniform(low, high, count)
        if either:
            drawn = np.where(generator.random(count) < 0.5, low, high)
        share = drawn if state is None else np.where(episode_start, drawn, state[0])
        action, memory = best(observation, None if state is None else state[1], episode_start, deterministic)
        if isinstance(space, Discrete):
            other = generator.integers(int(space.n), size=count)
            return np.where(generator.random(count) < share, other, action), (share, memory)
        other = generator.uniform(space.low, space.high, (count, *space.shape)).astype(space.dtype)
        mask = (generator.random(count) < share).reshape(-1, *[1] * len(space.shape))
        return np.where(mask, other, action), (share, memory)

    return predict
