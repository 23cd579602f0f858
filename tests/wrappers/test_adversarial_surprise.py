"""The game of adversarial surprise as a wrapper and as a PettingZoo game, SMiRL's reward, and the normaliser."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo.test import api_test, parallel_api_test

from envzoo.errors import EnvzooError, UnknownNameError, UnsupportedSpaceError
from envzoo.wrappers import (
    AdversarialRounds,
    ReturnNormalizer,
    RoundSwitcher,
    SurpriseReward,
    VectorAdversarialRounds,
    VectorReturnNormalizer,
    VectorSurpriseReward,
    adversarial_surprise_v0,
)

CHAIN = "envzoo/BlockChain-v0"
STAY = 3
DARK = np.log(12 * 7**4)  # nats of one unseen observation: a room of 12 and four tiles of 7 values


def test_a_stand_still_control_in_the_dark_earns_one_uniform_guess():
    env = AdversarialRounds(gym.make(CHAIN))
    env.reset(seed=0)
    rewards = [env.step(STAY)[1] for _ in range(64)]
    assert np.isclose(sum(rewards), -DARK)
    assert np.flatnonzero(rewards).tolist() == [24]  # the first scored step: half of round 1


@pytest.mark.parametrize(
    ("length", "warm_up", "unscored"),
    [
        (5, 0.5, 3),
        (7, 0.5, 4),
        (6, 0.5, 3),
        (3, 0.5, 2),
        (9, 0.5, 5),
        (10, 0.25, 3),
        (100, 0.07, 7),
        (30, 0.1, 3),
        (4, 0, 0),
    ],
)
def test_a_warm_up_is_rounded_up(length, warm_up, unscored):
    """As in the official code, where a step is scored from step number warm_up * length of a round on."""
    env = AdversarialRounds(gym.make(CHAIN), rounds=2, round_length=length, warm_up=warm_up)
    env.reset(seed=0)
    scored = [env.step(0)[4]["scored"] for _ in range(2 * length)]
    assert scored == [False] * (length + unscored) + [True] * (length - unscored)


def test_control_is_scored_after_its_warm_up_only():
    env = AdversarialRounds(gym.make(CHAIN), warm_up=0.25)
    env.reset(seed=0)
    env.action_space.seed(0)
    seen, sizes = [], []
    for _ in range(64):
        sizes.append(int(env.tracker.density.arrays["n"][0]))
        _, reward, *_, info = env.step(env.action_space.sample())
        seen.append(info["scored"])
        assert info["scored"] or reward == 0
        assert info["log_prob"] == reward
    expected = [t // 16 % 2 == 1 and t % 16 >= 4 for t in range(64)]
    assert seen == expected
    assert sizes == np.cumsum([0, *expected[:-1]]).tolist()
    assert (sizes[32], sizes[63]) == (12, 23)  # 12 of 16 steps in each of Control's rounds


@pytest.mark.parametrize(("memory", "total"), [("episode", 1), ("round", 2), ("lifetime", 1)])
def test_memory(memory, total):
    env = AdversarialRounds(gym.make(CHAIN), memory=memory)
    env.reset(seed=0)
    rewards = sum(env.step(STAY)[1] for _ in range(64))
    assert np.isclose(rewards, -total * DARK)
    env.reset(seed=0)
    again = sum(env.step(STAY)[1] for _ in range(64))
    assert np.isclose(again, 0 if memory == "lifetime" else -total * DARK)


def test_rows_of_the_vector_face_are_the_single_face():
    single = AdversarialRounds(gym.make(CHAIN))
    vector = VectorAdversarialRounds(gym.make_vec(CHAIN, num_envs=3))
    one, _ = single.reset(seed=5)
    many, _ = vector.reset(seed=4)
    generator = np.random.default_rng(0)
    for _ in range(64):
        actions = generator.integers(4, size=3)
        one, reward, *_ = single.step(int(actions[1]))
        many, rewards, *_ = vector.step(actions)
        assert reward == rewards[1]
        assert all(np.array_equal(one[name], many[name][1]) for name in one)
        assert one in single.observation_space


def test_captured_state_goes_on_bit_for_bit():
    env = VectorReturnNormalizer(VectorAdversarialRounds(gym.make_vec(CHAIN, num_envs=2)))
    env.reset(seed=1)
    actions = np.random.default_rng(0).integers(4, size=(60, 2))
    for action in actions[:30]:
        env.step(action)
    state = env.get_state()
    first = [env.step(action)[1] for action in actions[30:]]
    env.set_state(state)
    assert np.array_equal(first, [env.step(action)[1] for action in actions[30:]])


def test_surprise_reward_scores_before_it_learns():
    env = SurpriseReward(gym.make(CHAIN))
    _, info = env.reset(seed=0)
    assert info["log_prob"] == 0
    assert np.isclose(env.step(STAY)[1], -DARK)
    assert env.step(STAY)[1] == 0
    vector = VectorSurpriseReward(gym.make_vec(CHAIN, num_envs=2), clip=5.0)
    vector.reset(seed=0)
    assert vector.step(np.array([STAY, STAY]))[1].tolist() == [-5, -5]


class Paid(gym.Env):
    observation_space, action_space = spaces.Discrete(2), spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 0, float(action), False, False, {}


def test_normaliser_divides_by_the_deviation_of_returns():
    env = ReturnNormalizer(Paid(), gamma=0.5)
    env.reset()
    returns, running, scaled = [], 0.0, None
    for action in (1, 0, 1, 1):
        running = 0.5 * running + action
        returns.append(running)
        scaled = env.step(action)[1]
    # The start weighs 1e-4 of a step with mean 0 and variance 1.
    count = len(returns) + 1e-4
    mean = sum(returns) / count
    variance = (1e-4 * 1.0 + sum(r * r for r in returns)) / count - mean**2
    assert np.isclose(scaled, 1 / np.sqrt(variance + 1e-8))


def test_round_switcher_leaves_rewards_alone():
    env = RoundSwitcher(Paid(), rounds=2, round_length=3, warm_up=0)
    _, info = env.reset()
    players, rewards = [info["player"]], []
    for _ in range(7):
        _, reward, *_, info = env.step(1)
        players.append(info["player"])
        rewards.append(reward)
    assert players == [0, 0, 0, 1, 1, 1, 0, 0]  # after the last round the first comes again
    assert set(rewards) == {1.0}


@pytest.mark.parametrize("source", [CHAIN, "CartPole-v1"])
def test_pettingzoo_accepts_both_forms(source):
    api_test(adversarial_surprise_v0.env(source, round_length=4), num_cycles=40)
    parallel_api_test(adversarial_surprise_v0.parallel_env(source, round_length=4), num_cycles=40)


@pytest.mark.parametrize("normalize", [False, True])
def test_the_game_is_zero_sum_in_every_step(normalize):
    game = adversarial_surprise_v0.parallel_env(CHAIN, normalize=normalize)
    game.reset(seed=0)
    generator, totals = np.random.default_rng(0), np.zeros(2)
    while game.agents:
        _, rewards, *_ = game.step({player: generator.integers(4) for player in game.agents})
        assert rewards["explore"] == -rewards["control"]
        totals += list(rewards.values())
    assert totals[1] < 0 < totals[0]


def test_the_picture_names_the_player():
    game = adversarial_surprise_v0.env(CHAIN, render_mode="rgb_array")
    game.reset(seed=0)
    bare = gym.make(CHAIN, render_mode="rgb_array")
    bare.reset(seed=0)
    picture = game.render()
    assert np.array_equal(picture[18:], bare.render())
    assert len(np.unique(picture[:18].reshape(-1, 3), axis=0)) > 1


class Words(Paid):
    observation_space = spaces.Text(5)


SENTENCES = [
    (lambda: AdversarialRounds(gym.make(CHAIN), rounds=3), EnvzooError, "expected an even number such as 4"),
    (lambda: AdversarialRounds(gym.make(CHAIN), warm_up=1.0), EnvzooError, r"in \[0, 1\)"),
    (lambda: AdversarialRounds(gym.make(CHAIN), warm_up=-0.1), EnvzooError, r"in \[0, 1\)"),
    (lambda: AdversarialRounds(gym.make(CHAIN), round_length=1), EnvzooError, "leaves no scored step"),
    (lambda: AdversarialRounds(gym.make(CHAIN), round_length=4, warm_up=0.8), EnvzooError, "leaves no scored step"),
    (lambda: AdversarialRounds(gym.make(CHAIN), rounds=6), EnvzooError, "cannot be divided into 6 equal rounds"),
    (lambda: AdversarialRounds(Paid()), EnvzooError, "give round_length"),
    (lambda: SurpriseReward(Words()), UnsupportedSpaceError, "no density model fits the observation"),
    (lambda: SurpriseReward(Paid(), density="gausian"), UnknownNameError, "did you mean 'gaussian'"),
    (lambda: SurpriseReward(gym.make("CartPole-v1"), density="categorical"), UnsupportedSpaceError, "whole numbers"),
    (lambda: SurpriseReward(gym.make(CHAIN), density="bernoulli"), UnsupportedSpaceError, "takes bits"),
    (lambda: adversarial_surprise_v0.env(3), EnvzooError, "source is a int"),
]


@pytest.mark.parametrize("case", range(len(SENTENCES)))
def test_wrong_input(case):
    call, error, words = SENTENCES[case]
    with pytest.raises(error, match=words):
        call()
