"""Preferences as a symmetric game of two players."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo.test import parallel_api_test

import envzoo.registration  # noqa: F401
from envzoo.errors import EnvzooError
from envzoo.preference.preferences import ScorePreference
from envzoo.wrappers import PreferenceGame, PreferenceWrapper

WORLDS = {
    "cyclic": (lambda: gym.make("envzoo/PrefPoint-v0", kind="cyclic", horizon=4), "environment"),
    "course": (lambda: gym.make("envzoo/PrefPoint-v0", kind="nonmarkov", horizon=4), "environment"),
    "bandit": ("envzoo/PrefBandit-v0", "environment"),
    "cartpole": ("CartPole-v1", "max"),
    "pendulum": (lambda: gym.make("Pendulum-v1", max_episode_steps=5), "noisy"),
    "car": (lambda: PreferenceWrapper(gym.make("MountainCarContinuous-v0", max_episode_steps=5)), "environment"),
}


@pytest.mark.parametrize("name", WORLDS)
def test_the_api_is_that_of_pettingzoo(name, capsys):
    make, preference = WORLDS[name]
    game = PreferenceGame(make, preference)
    parallel_api_test(game, num_cycles=60)
    game.close()


def play(game, choose, seed=0):
    observations, _ = game.reset(seed=seed)
    total = dict.fromkeys(observations, 0.0)
    steps = 0
    while game.agents:
        observations, rewards, terminated, truncated, _ = game.step(choose(steps))
        for player, reward in rewards.items():
            total[player] += reward
        steps += 1
    return total, steps, (terminated, truncated)


@pytest.mark.parametrize("name", ["cyclic", "pendulum", "cartpole"])
def test_the_game_is_symmetric_and_sums_to_zero(name):
    make, preference = WORLDS[name]
    game = PreferenceGame(make, preference)
    rng = np.random.default_rng(0)
    plans = []
    for player in game.possible_agents:
        game.action_space(player).seed(int(rng.integers(100)))
        plans.append([game.action_space(player).sample() for _ in range(500)])

    def alike(first, second):
        # Both environments begin with one seed, so that swapping the plans swaps the episodes.
        game.reset(seed=0)
        for player, env in game.envs.items():
            game._seen[player] = [env.reset(seed=3)[0]]
        while game.agents:
            step = len(game._acted["player_0"]), len(game._acted["player_1"])
            _, rewards, *_ = game.step({"player_0": first[step[0]], "player_1": second[step[1]]})
        return rewards

    one, other, same = alike(*plans), alike(*plans[::-1]), alike(plans[0], plans[0])
    assert one["player_0"] == -one["player_1"] == other["player_1"] == -other["player_0"]
    assert same["player_0"] == 0
    assert abs(one["player_0"]) <= 1


def test_rewards_come_when_both_episodes_have_ended():
    game = PreferenceGame("CartPole-v1", ScorePreference(lambda t: t.length))
    total, steps, (terminated, truncated) = play(game, lambda k: {"player_0": 0, "player_1": k % 2})
    lengths = [len(game._acted[player]) for player in game.possible_agents]
    assert lengths[0] < lengths[1] == steps  # pushing to the left only falls earlier
    assert total == {"player_0": -1.0, "player_1": 1.0}
    assert terminated == {"player_0": True, "player_1": True}
    assert not any(truncated.values())
    assert game.step({}) == ({}, {}, {}, {}, {})


def test_episodes_are_those_of_the_environment():
    game = PreferenceGame(*WORLDS["pendulum"])
    seen, _ = game.reset(seed=5)
    for number, player in enumerate(game.possible_agents):
        env = gym.make("Pendulum-v1")
        assert np.array_equal(env.reset(seed=5 + number)[0], seen[player])
    _, _, (terminated, truncated) = play(game, lambda k: {p: np.zeros(1, np.float32) for p in game.possible_agents})
    assert all(truncated.values())
    assert not any(terminated.values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((3,), "make_env is a int; expected an id or a function"),
        (("CartPole-v1",), "has no preference function; expected an environment such as envzoo/PrefPoint-v0"),
        (("CartPole-v1", "maximum"), "max"),
        (("envzoo/TextSumTo-v1", "max"), "cannot be compared; expected Box"),
        ((itertools.repeat(gym.make("CartPole-v1")).__next__, "max"), "returned one environment twice"),
    ],
)
def test_refusals(arguments, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        PreferenceGame(*arguments)


def test_a_missing_action_is_named():
    game = PreferenceGame("CartPole-v1", "max")
    game.reset(seed=0)
    with pytest.raises(EnvzooError, match="the action of player_1 is missing"):
        game.step({"player_0": 0})
