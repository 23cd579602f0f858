"""Helpers of the replay tests: environments of many kinds, and resumption through a file."""

import copy

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envzoo.agents import checkpoint
from envzoo.wrappers.capture import Capture
from envzoo.wrappers.encoding import encode

MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP]


def make(env_id, mode=MODES[0], n=3, wrap=lambda env: env, **kwargs):
    return SyncVectorEnv([lambda: wrap(gym.make(env_id, **kwargs))] * n, autoreset_mode=mode, copy=False)


def of_class(cls, mode=MODES[0], n=2):
    return SyncVectorEnv([cls] * n, autoreset_mode=mode)


def through_file(state, tmp_path):
    checkpoint.save(tmp_path / "state.zip", {}, {"state": state})
    return checkpoint.read(tmp_path / "state.zip")[1]["state"]


def play(env, actions):
    """Return the results of the steps as bytes."""
    rows = []
    for action in actions:
        observation, *rest, infos = env.step(action.copy())
        final = [None if one is None else one for one in infos.get("final_obs", [])]
        rows.append(encode((observation, rest, final)))
    return rows


def resumed(fresh, tmp_path, before=61, after=80, seed=7):
    """Play on in one environment, and in a fresh one that took over its state: (rows, rows, replayed steps)."""
    one, two = fresh(), fresh()
    captures = [Capture(env) for env in (one, two)]
    one.reset(seed=seed)
    two.reset(seed=12345)
    one.action_space.seed(1)
    actions = [copy.deepcopy(one.action_space.sample()) for _ in range(before + after)]
    play(one, actions[:before])
    play(two, actions[5:15])  # the one that takes over need not be untouched
    state = through_file(captures[0].get_state(), tmp_path)
    steps = captures[1].set_state(state)
    return play(one, actions[before:]), play(two, actions[before:]), steps


class Walk(gym.Env):
    """Sums of what a source of randomness gives; ends after 9 steps."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.sum = 0, float((options or {}).get("start", 0.0))
        return self.look(), {}

    def draw(self):
        return self.np_random.random()

    def step(self, action):
        self.time += 1
        self.sum += action + self.draw()
        return self.look(), self.sum, False, self.time == 9, {}

    def look(self):
        return np.array([self.sum, self.time])


class OwnGenerator(Walk):
    """Draws from a generator of its own, which nobody seeds alike."""

    def __init__(self):
        self.own = np.random.default_rng()

    def draw(self):
        return self.own.random()


class Hidden(Walk):
    """Draws from a generator that no attribute holds."""

    def __init__(self):
        generator = np.random.default_rng()
        self.draw = lambda: generator.random()


class OldGenerator(OwnGenerator):
    def __init__(self):
        self.own = np.random.RandomState()

    def draw(self):
        return self.own.uniform()


class Counting(Walk):
    """Later episodes pay more."""

    episodes = 0

    def reset(self, *, seed=None, options=None):
        self.episodes += 1
        return super().reset(seed=seed, options=options)

    def draw(self):
        return float(self.episodes)


class Capturing(Counting):
    """The same, with get_state."""

    def get_state(self):
        return {"episodes": self.episodes}

    def set_state(self, state):
        self.episodes = int(state["episodes"])


class Changing(Walk):
    """Writes into its observation and its action."""

    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self):
        self.observation = np.zeros(2)

    def step(self, action):
        total = float(action.sum())
        action[:] = 9
        return super().step(total)

    def look(self):
        self.observation[:] = super().look()
        return self.observation
