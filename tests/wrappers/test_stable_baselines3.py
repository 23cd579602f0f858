"""StableBaselines3VecEnv against DummyVecEnv over the same environments."""

import gymnasium as gym
import numpy as np
import pytest

import envzoo  # noqa: F401
from envzoo.errors import EnvzooError

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from envzoo.wrappers import StableBaselines3VecEnv

GRID = "envzoo/GridCoverage-v0"
SMALL = {"rows": 4, "columns": 4, "horizon": 5}
CASES = {
    "kernel": (GRID, SMALL | {"start": "random"}),
    "kernel, truncated": (GRID, {"max_episode_steps": 3}),
    "kernel, Dict": (GRID, SMALL | {"coverage_mask": True}),
    "gymnasium": ("CartPole-v1", {"max_episode_steps": 12}),
}


def both(name, num_envs=3):
    env_id, kwargs = CASES[name]
    dummy = make_vec_env(env_id, num_envs, env_kwargs=kwargs, vec_env_cls=DummyVecEnv)
    return StableBaselines3VecEnv(env_id, num_envs, **kwargs), dummy


def same(a, b):
    if isinstance(a, dict):
        assert set(a) == set(b)
        for key in a:
            same(a[key], b[key])
    else:
        np.testing.assert_array_equal(a, b)
        assert np.asarray(a).dtype == np.asarray(b).dtype or np.asarray(a).ndim == 0


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_dummy_vec_env(name):
    ours, dummy = both(name)
    for env in (ours, dummy):
        env.seed(7)
    same(ours.reset(), dummy.reset())
    assert ours.observation_space == dummy.observation_space
    assert ours.action_space == dummy.action_space
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(40):
        actions = rng.integers(ours.action_space.n, size=3)
        found, expected = ours.step(actions), dummy.step(actions)
        for a, b in zip(found[:3], expected[:3], strict=True):
            same(a, b)
        for a, b in zip(found[3], expected[3], strict=True):
            if "episode" in b:
                ends += 1
                assert a["episode"].pop("t") >= 0
                b["episode"].pop("t")
            same(a, b)
        for a, b in zip(ours.reset_infos, dummy.reset_infos, strict=True):
            same(a, b)
    assert ends > 5
    same(ours.reset(), dummy.reset())  # without a seed, the streams continue
    ours.close()


def test_truncation_is_not_termination():
    ours, _ = both("kernel, truncated", 1)
    ours.reset()
    for _ in range(2):
        assert ours.step(np.array([1]))[3][0]["TimeLimit.truncated"] is False
    _, _, dones, infos = ours.step(np.array([1]))
    assert dones[0]
    assert infos[0]["TimeLimit.truncated"] is True
    terminating, _ = both("kernel", 1)
    terminating.reset()
    for _ in range(5):
        _, _, dones, infos = terminating.step(np.array([1]))
    assert dones[0]
    assert infos[0]["TimeLimit.truncated"] is False


def test_ppo_learns_the_same_weights_through_both():
    weights = []
    for env in both("kernel", 4):
        model = PPO("MlpPolicy", env, n_steps=16, batch_size=32, n_epochs=2, seed=3, device="cpu")
        model.learn(128)
        weights.append([p.detach().numpy() for p in model.policy.parameters()])
        assert len(model.ep_info_buffer) > 0
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_attributes_and_methods():
    ours, _ = both("kernel")
    assert ours.get_attr("render_mode") == [None] * 3
    assert ours.get_attr("horizon", [0, 2]) == [5, 5]
    assert ours.env_method("disc_of", 0, indices=1)[0].tolist() == [0, 1, 4, 5]
    assert ours.has_attr("upper_bound")
    assert not ours.has_attr("evil")
    with pytest.raises(AttributeError):
        ours.env_method("evil")
    ours.set_attr("tag", 3)
    assert ours.get_attr("tag") == [3, 3, 3]
    with pytest.raises(EnvzooError, match="tag is shared by all 3 episodes"):
        ours.set_attr("tag", 4, indices=[0])
    assert ours.env_is_wrapped(Monitor) == [True] * 3
    assert ours.env_is_wrapped(gym.wrappers.TimeLimit) == [False] * 3
    other, _ = both("gymnasium")
    other.set_attr("tag", 4, indices=[1])
    assert other.get_attr("tag", 1) == [4]
    assert other.env_is_wrapped(gym.wrappers.TimeLimit, [0]) == [True]
    assert [spec.id for spec in other.get_attr("spec")] == ["CartPole-v1"] * 3


def test_options_images_and_the_library_s_own_tools():
    ours = StableBaselines3VecEnv(GRID, 2, **SMALL, render_mode="rgb_array_each")
    ours.set_options({"start": 5})
    same(ours.reset()[:, 0], np.array([5, 5]))
    same(ours.reset()[:, 0], np.array([0, 0]))  # options count once
    ours.set_options([{"start": 5}, {"start": 6}])
    with pytest.raises(EnvzooError, match="options that differ"):
        ours.reset()
    ours.set_options(None)
    ours.reset()
    assert ours.get_images()[0].shape[2] == 3
    model = PPO("MlpPolicy", VecNormalize(ours, norm_obs=False), n_steps=8, batch_size=16, device="cpu", seed=0)
    mean, _ = evaluate_policy(model, StableBaselines3VecEnv(GRID, 2, **SMALL), n_eval_episodes=4)
    assert 0 <= mean <= 16
    check_env(gym.make(GRID, **SMALL), skip_render_check=True)


def test_refusals():
    with pytest.raises(EnvzooError, match="resets in the mode NextStep; expected SameStep"):
        StableBaselines3VecEnv(gym.make_vec(GRID, num_envs=2))
    with pytest.raises(EnvzooError, match="go with an environment id"):
        StableBaselines3VecEnv(gym.make_vec(GRID, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP), 3)
