"""Small environments of every kind of space, and a game, that tests of agents share."""

import copy

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv


class Corridor(gym.Env):
    """Three steps to the end; observations are samples of any space, the reward counts the steps."""

    def __init__(self, observations=spaces.Box(-1, 1, (3,)), actions=spaces.Discrete(2)):  # noqa: B008
        self.observation_space, self.action_space = copy.deepcopy(observations), copy.deepcopy(actions)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.time = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert action in self.action_space, f"{action!r} is not in {self.action_space}"
        self.time += 1
        return self.observation_space.sample(), float(self.time), self.time == 3, False, {}


OBSERVATIONS = {
    "box": spaces.Box(-1, 1, (3,)),
    "unbounded-matrix": spaces.Box(-np.inf, np.inf, (2, 3), np.float64),
    "number": spaces.Box(-1, 1, ()),
    "image": spaces.Box(0, 255, (12, 10, 3), np.uint8),
    "channels-first-image": spaces.Box(0, 255, (1, 40, 36), np.uint8),
    "discrete": spaces.Discrete(5),
    "discrete-from": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([3, 70, 2], start=[1, 0, -1]),
    "multi-discrete-matrix": spaces.MultiDiscrete([[3, 4], [5, 6]]),
    "multi-binary": spaces.MultiBinary((2, 3)),
    "dict": spaces.Dict(
        a=spaces.Box(-1, 1, (2,)),
        b=spaces.Discrete(3, start=1),
        c=spaces.Dict(d=spaces.MultiBinary(2)),
        e=spaces.MultiDiscrete([2]),
    ),
    "dict-with-image": spaces.Dict(eye=spaces.Box(0, 255, (8, 8, 1), np.uint8), speed=spaces.Box(-1, 1, (1,))),
}
ACTIONS = {
    "discrete": spaces.Discrete(3),
    "discrete-from": spaces.Discrete(3, start=-1),
    "box": spaces.Box(np.array([-1, 0], np.float32), np.array([1, 0.25], np.float32)),
    "unbounded-box": spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
    "number": spaces.Box(0, 1, ()),
}


class Game(ParallelEnv):
    """Matching pennies, twice; the second player leaves after the first round."""

    metadata = {"name": "game"}  # noqa: RUF012
    possible_agents = ["even", "odd"]  # noqa: RUF012

    def observation_space(self, agent):
        return spaces.Discrete(2)

    def action_space(self, agent):
        return spaces.Discrete(2) if agent == "even" else spaces.Box(-1, 1, (2,))

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        return dict.fromkeys(self.agents, 0), {agent: {} for agent in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        assert all(actions[agent] in self.action_space(agent) for agent in self.agents)
        ended = {"even": len(self.agents) == 1, "odd": True}
        now, self.agents = self.agents, [agent for agent in self.agents if not ended[agent]]
        each = {agent: ended[agent] for agent in now}
        return dict.fromkeys(now, 1), dict.fromkeys(now, 0.0), each, dict.fromkeys(now, False), {a: {} for a in now}
