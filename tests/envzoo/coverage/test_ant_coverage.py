"""AntCoverage: its marks and rewards with a body that goes where it is told, and the real one where MuJoCo is."""

import importlib.util

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import envzoo  # noqa: F401
from envzoo.coverage import ant_coverage
from envzoo.errors import MissingExtraError, ResetNeededError, UnknownNameError

HAS_MUJOCO = importlib.util.find_spec("mujoco") is not None


class Puppet(gym.Env):
    """A body with the ant's spaces: the first two components of an action move it by up to 8."""

    observation_space = spaces.Box(-np.inf, np.inf, (29,), np.float64)
    action_space = spaces.Box(-1, 1, (8,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.motion = np.zeros(29)
        return self.motion.copy(), {}

    def step(self, action):
        self.motion[:2] += 8 * np.asarray(action[:2], float)
        return self.motion.copy(), 99.0, False, False, {}


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(ant_coverage, "make_body", lambda **arguments: Puppet())
    return lambda **kwargs: gym.make("envzoo/AntCoverage-v0", **kwargs)


def action(x, y):
    return np.array([x, y, 0, 0, 0, 0, 0, 0], np.float32)


def test_blocks_by_hand(make):
    env = make(coverage_mask=True)
    observation, info = env.reset(seed=0)
    assert info == {"coverage": pytest.approx(2.5), "modular_reward": 0.0}
    assert np.argwhere(observation["covered"]).min(axis=0).tolist() == [50, 50]
    assert np.argwhere(observation["covered"]).max(axis=0).tolist() == [54, 54]
    # One cell (0.4) to the right: a column of five is new.
    observation, reward, terminated, _, info = env.step(action(0.0525, 0))
    assert (reward, info["modular_reward"], info["coverage"]) == pytest.approx((0.5, 2.5, 3.0))
    assert observation["covered"][50, 55] == 1
    assert observation["covered"][55, 50] == 0
    _, reward, *_, info = env.step(action(0, 0))
    assert (reward, info["modular_reward"], info["coverage"]) == pytest.approx((0.0, 2.5, 3.0))
    # At the border the block is cut off, and beyond it the episode ends.
    for _ in range(2):
        env.step(action(0, 1))
    _, reward, terminated, _, info = env.step(action(0, 0.48))
    assert (reward, info["modular_reward"], terminated) == (pytest.approx(0.5), pytest.approx(0.5), False)
    _, reward, terminated, truncated, info = env.step(action(0, 0.1))
    assert (reward, info["modular_reward"], terminated, truncated) == (0.0, 0.0, True, False)


def test_return_telescopes_and_walks_end(make):
    env = make()
    _, info = env.reset(seed=0)
    first, rng, total = info["coverage"], np.random.default_rng(0), 0.0
    for _ in range(400):
        where = np.clip(env.unwrapped._path[-1], -18, 18)
        move = np.clip(-0.02 * where / 8 + rng.normal(size=2) * 0.05, -0.2, 0.2)
        _, reward, terminated, truncated, info = env.step(action(*move))
        total += reward
        assert 0 <= reward <= info["modular_reward"] + 1e-12
        if terminated or truncated:
            break
    assert terminated or truncated
    assert total == pytest.approx(info["coverage"] - first)


@pytest.mark.filterwarnings("ignore")
def test_checker_pictures_and_errors(make):
    check_env(make(coverage_mask=True).unwrapped, skip_render_check=True)
    env = make(render_mode="rgb_array").unwrapped
    with pytest.raises(ResetNeededError, match="call reset first"):
        env.step(action(0, 0))
    with pytest.raises(ResetNeededError, match="call reset first"):
        env.render()
    env.reset(seed=0)
    first = env.render()
    env.step(action(1, 1))
    assert first.shape == (320, 320, 3)
    assert not np.array_equal(first, env.render())
    text = make(render_mode="ansi")
    text.reset(seed=0)
    assert text.render() == "move 0, position (+0.00, +0.00), covered 25 of 10000 cells"
    with pytest.raises(UnknownNameError, match="unknown render mode"):
        ant_coverage.AntCoverage(render_mode="human")


@pytest.mark.skipif(HAS_MUJOCO, reason="MuJoCo is installed")
def test_missing_extra_is_named():
    with pytest.raises(MissingExtraError, match=r"pip install -c constraints.txt -e '\.\[mujoco\]'"):
        gym.make("envzoo/AntCoverage-v0")


@pytest.mark.skipif(not HAS_MUJOCO, reason="needs the extra mujoco")
def test_real_ant():
    env = gym.make("envzoo/AntCoverage-v0")
    observation, info = env.reset(seed=0)
    assert observation.shape == (29,)
    assert np.abs(observation[:2]).max() < 1
    assert info["coverage"] == pytest.approx(2.5)
    env.action_space.seed(0)
    steps, terminated, truncated = 0, False, False
    while not (terminated or truncated):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        assert observation[:2] == pytest.approx(env.unwrapped._path[-1])
        steps += 1
    assert truncated == (steps == 400)
    again = gym.make("envzoo/AntCoverage-v0")
    assert np.array_equal(again.reset(seed=0)[0], env.reset(seed=0)[0])
