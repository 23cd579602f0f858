"""Replays through wrappers and vector environments: exact where possible, refused by name elsewhere."""

import gymnasium as gym
import pytest
from gymnasium.vector import AsyncVectorEnv
from gymnasium.wrappers import FrameStackObservation, NormalizeObservation, NormalizeReward, RecordEpisodeStatistics
from gymnasium.wrappers import vector as vector_wrappers
from replaying import MODES, make, resumed

from envzoo.wrappers import ReturnNormalizer, VectorTimeInObservation, register_per_episode
from envzoo.wrappers.capture import Capture
from envzoo.wrappers.replay import ReplayError


@pytest.mark.parametrize(
    "wrap",
    [lambda env: FrameStackObservation(env, 3), RecordEpisodeStatistics, ReturnNormalizer],
    ids=["FrameStackObservation", "RecordEpisodeStatistics", "ReturnNormalizer"],
)
def test_wrappers_around_single_environments(wrap, tmp_path):
    one, two, _ = resumed(lambda: make("CartPole-v1", wrap=wrap), tmp_path)
    assert one == two


@pytest.mark.parametrize("wrapper", [NormalizeObservation, NormalizeReward])
def test_wrappers_that_outlast_episodes_are_named(wrapper):
    capture = Capture(make("CartPole-v1", wrap=wrapper))
    capture.env.reset(seed=0)
    assert capture.get_state() is None
    with pytest.raises(ReplayError, match=f"the wrapper {wrapper.__name__} may (keep|hold) state"):
        capture.set_state(None)


def test_unknown_wrappers_are_refused_until_they_are_declared(tmp_path):
    class Bare(gym.Wrapper):
        """Has no attributes of its own in which to keep anything."""

    class Mine(gym.Wrapper):
        def __init__(self, env):
            super().__init__(env)
            self.scale = 2.0

    assert Capture(make("CartPole-v1", wrap=Bare)).obstacle is None
    assert "the wrapper Mine" in Capture(make("CartPole-v1", wrap=Mine)).obstacle
    register_per_episode(Mine)
    assert Capture(make("CartPole-v1", wrap=Mine)).obstacle is None


@pytest.mark.parametrize(
    "wrap",
    [vector_wrappers.RecordEpisodeStatistics, lambda env: vector_wrappers.RescaleObservation(env, -1.0, 1.0)],
    ids=["statistics", "rescaled"],
)
def test_vector_wrappers_that_keep_nothing(wrap, tmp_path):
    one, two, _ = resumed(lambda: wrap(make("MountainCar-v0", MODES[1])), tmp_path)
    assert one == two


def test_our_vector_wrappers_take_part(tmp_path):
    one, two, _ = resumed(lambda: VectorTimeInObservation(make("CartPole-v1")), tmp_path)
    assert one == two


@pytest.mark.parametrize("wrapper", ["NormalizeObservation", "NormalizeReward"])
def test_vector_wrappers_that_outlast_episodes_are_named(wrapper):
    env = getattr(vector_wrappers, wrapper)(make("CartPole-v1", MODES[1]))
    assert f"the wrapper {wrapper}" in Capture(env).obstacle


def test_other_processes_are_out_of_reach():
    env = AsyncVectorEnv([lambda: gym.make("CartPole-v1")])
    try:
        assert "AsyncVectorEnv runs its environments in other processes" in Capture(env).obstacle
    finally:
        env.close()


@pytest.mark.parametrize("before", [1, 60])
def test_the_vectorised_cartpole_is_captured(before, tmp_path):
    one, two, steps = resumed(lambda: gym.make_vec("CartPole-v1", num_envs=4), tmp_path, before, 100)
    assert one == two
    assert steps is None


def test_vector_environments_without_adapter_are_named():
    from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

    class Another(CartPoleVectorEnv):
        pass

    assert "no state adapter is registered for Another" in Capture(Another(2)).obstacle
