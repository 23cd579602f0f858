"""EntropyBandit: rewards, one-step episodes, and that its documented optimum is right."""

import gymnasium as gym
import numpy as np
import pytest

import envzoo  # noqa: F401
from envzoo.control.entropy_bandit import EntropyBandit
from envzoo.errors import EnvzooError, InvalidActionError


def test_arms_pay_their_reward_and_end():
    env = gym.make("envzoo/EntropyBandit-v0")
    for arm, reward in enumerate((1.0, 0.5, 0.0, -1.0)):
        assert env.reset(seed=0) == (0, {})
        assert env.step(arm) == (0, reward, True, False, {})
    vector = gym.make_vec("envzoo/EntropyBandit-v0", num_envs=3, rewards=[2, 7], autoreset_mode="SameStep")
    vector.reset(seed=0)
    _, rewards, terminated, truncated, infos = vector.step([0, 1, 0])
    assert rewards.tolist() == [2, 7, 2]
    assert terminated.all()
    assert not truncated.any()
    assert infos["final_info"] == {}
    assert infos["final_obs"].tolist() == [0, 0, 0]


def test_continuous_reward():
    env = gym.make("envzoo/EntropyBanditContinuous-v0")
    for action in (-1.0, 0.25, 0.0):
        env.reset(seed=0)
        assert env.step(np.array([action], np.float32))[1:4] == (-(action**2), True, False)
    env.reset()
    with pytest.raises(InvalidActionError):
        env.step(np.array([1.1], np.float32))


def test_documented_optimum():
    # Worked by hand at alpha = 0.5: value 1.20986, entropy 0.88754.
    rewards = EntropyBandit().parameters.rewards
    policy = np.exp(rewards / 0.5) / np.exp(rewards / 0.5).sum()
    entropy = -(policy * np.log(policy)).sum()
    assert 0.5 * np.log(np.exp(rewards / 0.5).sum()) == pytest.approx(1.20986, abs=1e-5)
    assert entropy == pytest.approx(0.88754, abs=1e-5)
    assert policy @ rewards + 0.5 * entropy == pytest.approx(1.20986, abs=1e-5)
    # Normal of variance alpha / 2 with entropy -1.
    alpha = 0.015848
    assert 0.5 * np.log(2 * np.pi * np.e * alpha / 2) == pytest.approx(-1, abs=1e-4)
    assert np.sqrt(alpha / 2) == pytest.approx(0.08902, abs=1e-5)


@pytest.mark.parametrize("rewards", [(), [[1, 2]], [np.nan], "ab", 3])
def test_unusable_rewards(rewards):
    with pytest.raises(EnvzooError, match="rewards are"):
        EntropyBandit(rewards)
