"""PointMultiGoal against its formula, computed in NumPy."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import envzoo  # noqa: F401
from envzoo.control.point_multi_goal import GOALS, PointMultiGoal
from envzoo.errors import EnvzooError


@given(seed=st.integers(0, 10**6), cost=st.sampled_from([3.0, 30.0, 0.0]))
@settings(max_examples=25, deadline=None)
def test_steps_follow_the_formula(seed, cost):
    rng = np.random.default_rng(seed)
    env = gym.make("envzoo/PointMultiGoal-v0", actuation_cost=cost, disable_env_checker=True).unwrapped
    position = rng.uniform(-7, 7, size=2)
    observation, info = env.reset(seed=seed, options={"start": position})
    assert np.array_equal(observation, position.astype(np.float32))
    for _ in range(10):
        action = rng.uniform(-1, 1, size=2).astype(np.float32)
        position = np.clip(position + action, -7, 7)
        distances = np.linalg.norm(GOALS - position, axis=1)
        observation, reward, terminated, truncated, info = env.step(action)
        assert observation in env.observation_space
        assert np.allclose(observation, position, atol=1e-6)
        assert info["goal"] == distances.argmin()
        assert info["distance"] == pytest.approx(distances.min(), abs=1e-9)
        squares = float((action.astype(np.float64) ** 2).sum())
        bonus = 10.0 if distances.min() < 1 else 0.0
        assert reward == pytest.approx(bonus - cost * squares - distances.min() ** 2, abs=1e-9)
        assert terminated == (distances.min() < 1)
        assert not truncated
        if terminated:
            break


def test_hand_check_and_limit():
    env = gym.make("envzoo/PointMultiGoal-v0")
    env.reset(seed=0, options={"start": (3.5, 0.0)})
    _, reward, terminated, _, info = env.step(np.array([1.0, 0.0], np.float32))
    assert reward == 10 - (3 * 1 + 0.25)
    assert terminated
    assert (info["goal"], info["distance"]) == (0, 0.5)
    paper = gym.make("envzoo/PointMultiGoal-Paper-v0")
    paper.reset(seed=0, options={"start": (3.5, 0.0)})
    assert paper.step(np.array([1.0, 0.0], np.float32))[1] == 10 - (30 * 1 + 0.25)
    env.reset(seed=0)
    ends = [env.step(np.zeros(2, np.float32))[2:4] for _ in range(30)]
    assert ends[:-1] == [(False, False)] * 29
    assert ends[-1] == (False, True)


def test_start_distribution():
    env = gym.make_vec("envzoo/PointMultiGoal-v0", num_envs=20000)
    observation, infos = env.reset(seed=0)
    assert np.abs(observation.mean(axis=0)).max() < 0.003
    assert np.allclose(observation.std(axis=0), 0.1, atol=0.003)
    assert abs(np.corrcoef(observation.T)[0, 1]) < 0.03
    assert np.bincount(infos["goal"], minlength=4).min() > 4500


def test_options_per_episode_and_errors():
    env = gym.make_vec("envzoo/PointMultiGoal-v0", num_envs=3)
    starts = np.array([[1, 2], [3, 4], [-5, 6]], np.float32)
    assert np.array_equal(env.reset(options={"start": starts})[0], starts)
    for start in ((8, 0), (0, np.nan), (1, 2, 3), "corner"):
        with pytest.raises(EnvzooError, match="reset option start"):
            env.reset(options={"start": start})
    for kwargs in ({"actuation_cost": -1}, {"goal_reward": np.inf}, {"goal_radius": "1"}):
        with pytest.raises(EnvzooError, match="expected a number"):
            PointMultiGoal(**kwargs)
