"""Matrix games, self-play on logits, preferences between trajectories, SPO and its reward model."""

import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo import agents
from envzoo.agents.preference.bandit_self_play import _fit, train_bandits
from envzoo.agents.preference.iterative_reward_model import Comparisons
from envzoo.agents.preference.minimax import exploitability, hedge_bound, hedge_self_play, minimax_winner
from envzoo.agents.preference.spo import PolicyMixture
from envzoo.agents.preference.trajectories import FeatureQueue, spread
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.preference.games import cyclic_game, random_game, read_game
from envzoo.preference.preferences import (
    FeasiblePreference,
    MatrixPreference,
    ReturnPreference,
    ScorePreference,
    SectorPreference,
    Trajectories,
    check_antisymmetric,
)
from envzoo.wrappers import PreferenceWrapper, VectorPreferenceWrapper

positive = st.floats(0.05, 1)


@settings(max_examples=30, deadline=None)
@given(positive, positive, positive)
def test_the_winner_of_a_cycle(a, b, c):
    game = cyclic_game(a, b, c)
    assert minimax_winner(game) == pytest.approx(np.array([b, c, a]) / (a + b + c), abs=1e-9)
    assert exploitability(game, minimax_winner(game)) < 1e-9


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12))
def test_winners_of_random_games_cannot_be_exploited(seed, arms):
    game = random_game(arms, seed)
    winner = minimax_winner(game)
    assert exploitability(game, winner) < 1e-9
    assert exploitability(game, np.eye(arms)[0]) == pytest.approx(game[:, 0].max())


def test_hedge_approaches_the_winner():
    game = cyclic_game()
    for iterations, value in ((200, 0.011), (2000, 0.0014)):
        policies = hedge_self_play(game, iterations)
        gap = exploitability(game, policies.mean(0)) / 2
        assert gap == pytest.approx(value, abs=5e-4)
        assert gap <= hedge_bound(3, iterations)
        assert exploitability(game, policies[-1]) / 2 > gap


def test_the_agent_plays_the_same_rounds():
    agent = agents.make("SPOHedge", "envzoo/PrefBandit-v0", device="cpu").learn(250)
    assert agent.mixture() == pytest.approx(hedge_self_play(cyclic_game(), 250).mean(0), abs=1e-12)
    arms = agent.predict(np.zeros(20_000, int), deterministic=False)[0]
    counts = np.bincount(arms, minlength=3)
    assert (np.abs(counts - 20_000 * agent.mixture()) <= 5 * np.sqrt(20_000 * agent.mixture())).all()
    with pytest.raises(UnsupportedSpaceError, match="PrefPoint-v0 compares episodes in another way"):
        agents.make("SPOHedge", "envzoo/PrefPoint-v0")


def test_seeds_are_independent_rows():
    game = cyclic_game()
    for learner in ("self_play", "reward_model"):
        both = train_bandits(game, [3, 4], learner, iterations=20)
        one = train_bandits(game, [4], learner, iterations=20)
        assert np.array_equal(both.last[1], one.last[0])
        assert np.array_equal(both.mean[1], one.mean[0])
        assert not np.array_equal(both.last[0], both.last[1])
        assert both.last.sum(1) == pytest.approx(1)
    sampled = train_bandits(game, [3], labels="sampled", iterations=20)
    assert not np.array_equal(sampled.last[0], both.last[0])


def test_the_reward_model_is_the_maximum_of_its_likelihood():
    wins = np.array([[0.0, 30.0, 5.0], [10.0, 0.0, 20.0], [15.0, 4.0, 0.0]])
    rewards = np.zeros(3)
    _fit(wins, rewards, 50_000)
    p = 1 / (1 + np.exp(rewards - rewards[:, None]))
    slope = (wins - (wins + wins.T) * p).sum(1) - 1e-2 * rewards
    assert slope == pytest.approx(0, abs=1e-8)


def trajectories(seed, count=6, steps=5):
    rng = np.random.default_rng(seed)
    observation, length = rng.normal(size=(steps + 1, count, 5)), rng.integers(1, steps + 1, count)
    reward = np.where(np.arange(steps)[:, None] < length, rng.integers(-2, 3, (steps, count)), 0.0)
    return Trajectories(observation, rng.integers(3, size=(steps, count)), reward, length)


PREFERENCES = {
    "matrix": MatrixPreference(cyclic_game()),
    "max": ReturnPreference(),
    "noisy": ReturnPreference(1.5, 0.2),
    "cyclic": SectorPreference(),
    "nonmarkov": FeasiblePreference(),
    "score": ScorePreference(lambda t: np.round(t.final[:, :2])),
}


@pytest.mark.parametrize("name", PREFERENCES)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_preferences_are_antisymmetric(name, seed):
    preference = PREFERENCES[name]
    features = preference.features(trajectories(seed))
    check_antisymmetric(preference, features)
    win = preference.win_probability(features, features)
    assert win.mean() == pytest.approx(0.5)
    assert np.diag(win) == pytest.approx(0.5)


def test_a_contradictory_preference_is_named():
    class Wrong(ReturnPreference):
        def win_probability(self, first, second):
            return np.full((len(first), len(second)), 0.7)

    with pytest.raises(
        EnvzooError, match=r"trajectory 0 beats trajectory 0 with probability 0.7, and 0 beats 0 with 0.7"
    ):
        check_antisymmetric(Wrong(), np.zeros((2, 1)))
    with pytest.raises(EnvzooError, match=r"arm 0 is preferred to arm 1 by 0.5, and arm 1 to arm 0 by 0.5"):
        read_game([[0, 0.5], [0.5, 0]])
    with pytest.raises(EnvzooError, match=r"outside \[-1, 1\]"):
        read_game([[0, 1.5], [-1.5, 0]])


def test_the_example_of_the_page_runs():
    page = (Path(__file__).parents[3] / "docs" / "preferences.md").read_text(encoding="utf-8")
    example = re.search(r"^```python\n(import gymnasium as gym.*?)^```", page, re.M | re.S)[1]
    program = example.replace("10_000", "64")
    found = {}
    exec(compile(program, "preferences.md", "exec"), found)  # our own page, not a file's content
    assert found["agent"].num_timesteps >= 64
    assert (found["preference"].win_probability(np.ones((1, 1)), np.zeros((1, 1))) > 0.5).all()


def test_preferences_worked_out_by_hand():
    returns = ReturnPreference(2.0, 0.1)
    found = returns.win_probability(np.array([[3.0]]), np.array([[1.0], [3.0]]))
    assert found[0].tolist() == pytest.approx([0.1 + 0.8 / (1 + np.exp(-1)), 0.5])
    assert SectorPreference().win_probability(np.array([[0.0]]), np.array([[0.0], [1.0], [2.0]])).tolist() == [
        [0.5, 1, 0]
    ]
    path = np.zeros((5, 2, 5))
    path[:, 0, 0] = [0, 0.1, 0.2, 0.3, 2.0]  # feasible: three of four steps below the limit
    path[:, 1, 0] = [0, 0.1, 0.2, 0.5, 9.0]
    both = Trajectories(path, np.zeros((4, 2, 2)), np.zeros((4, 2)), np.array([4, 4]))
    feasible = FeasiblePreference()
    assert feasible.violation(both) == pytest.approx([0.0, 0.1])
    features = feasible.features(both)
    assert feasible.win_probability(features[:1], features[1:]).item() == 1.0


def test_scores_are_spread_over_steps():
    score, length = np.array([0.6, 0.9]), np.array([2, 3])
    assert spread(score, length, 3, last=False).sum(0) == pytest.approx(score)
    assert spread(score, length, 3, last=False)[:, 0].tolist() == pytest.approx([0.3, 0.3, 0.0])
    assert spread(score, length, 3, last=True).tolist() == [[0, 0], [0.6, 0], [0, 0.9]]


def test_queues_forget_the_oldest():
    queue = FeatureQueue(3)
    queue.push(np.array([[1.0], [2.0]]))
    queue.push(np.array([[3.0], [4.0]]))
    assert queue.features[:, 0].tolist() == [2, 3, 4]
    data = Comparisons(3)
    first = data.add([torch.full((1, 1), float(k)) for k in range(2)])
    data.compare(first[[0, 1]], first[[1, 0]], np.array([1.0, 0.0]))
    later = data.add([torch.full((1, 1), float(k)) for k in (2, 3)])
    data.compare(later, later[::-1].copy(), np.array([0.2, 0.8]))
    assert data.oldest == 1
    assert data.last(2).tolist() == later.tolist() == [2, 3]
    assert (data.first.tolist(), data.second.tolist(), data.label.tolist()) == ([2, 3], [3, 2], [0.2, 0.8])


def test_the_mixture_is_spread_over_training():
    policy = torch.nn.Linear(1, 1, bias=False)
    mixture = PolicyMixture(policy, 4)
    for number in range(20):
        policy.weight.data.fill_(float(number))
        mixture.add(policy)
    assert [float(copy["weight"]) for copy in mixture.copies] == [0, 8, 16]
    assert float(mixture.policy(1).weight) == 8


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0"])
def test_any_environment_can_be_compared(env_id):
    small = {"num_envs": 3, "hidden": (8,), "minibatch_size": 200, "num_epochs": 1}
    vector = VectorPreferenceWrapper(gym.make_vec(env_id, num_envs=3, max_episode_steps=12), "noisy", 2.0)
    agent = agents.make("SPO", vector, device="cpu", **small)
    assert agent.preference is vector.preference
    agent.learn(3)
    assert len(agent.queue) == 6
    single = PreferenceWrapper(gym.make(env_id, max_episode_steps=5), ReturnPreference())
    assert agents.make("SPO", single, device="cpu", **small).preference is single.preference


def test_scores_of_a_batch_are_those_of_the_definition():
    agent = agents.make("SPO", "envzoo/PrefBandit-v0", device="cpu", num_envs=5, hidden=(4,), queue=7)
    seen = {}
    judge = agent.judge

    def watch(found, features):
        seen["queue"], seen["arms"] = agent.queue.features[:, 0].astype(int), features[:, 0].astype(int)
        seen["reward"] = judge(found, features)[0]
        return seen["reward"], {}

    agent.judge = watch
    agent.learn(10)
    win = (1 + cyclic_game()) / 2
    expected = win[seen["arms"][:, None], seen["queue"]].mean(1)
    assert seen["reward"][0] == pytest.approx(expected)


def test_the_points_of_pref_point():
    env = gym.make("envzoo/PrefPoint-v0", kind="nonmarkov", horizon=4)
    env.reset(seed=0)
    velocity = place = 0.0
    for _ in range(4):
        velocity = 0.9 * velocity + 0.1
        place += velocity
        _, reward, terminated, _, info = env.step(np.array([1.0, 0.0], np.float32))
        assert reward == pytest.approx(-abs(place - 1))
    assert terminated
    assert info == {"x": pytest.approx(place), "y": 0.0, "sector": 0, "feasible": False}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: agents.make("SPO", "envzoo/PrefPoint-v0", queue=0), "queue of SPO is at least 1, got 0"),
        (lambda: agents.make("SPO", "envzoo/PrefPoint-v0", mixture=0), "mixture of SPO is at least 1, got 0"),
        (
            lambda: agents.make("IterativeRewardModel", "envzoo/PrefPoint-v0", memory=10),
            "at least 192 episodes, got 10",
        ),
        (lambda: PreferenceWrapper(gym.make("CartPole-v1"), "best"), "unknown preference 'best'"),
        (lambda: PreferenceWrapper(gym.make("CartPole-v1"), 3), "preference is a int; expected 'max', 'noisy'"),
        (lambda: ReturnPreference(flip=0.6), "flip is 0.6; expected a number of at least 0 and at most 0.5"),
        (lambda: train_bandits(cyclic_game(), [0], "spo"), "learner is 'spo'; expected one of self_play, reward_model"),
        (lambda: train_bandits(cyclic_game(), [0], samples=1), "samples is 1; expected a whole number of at least 2"),
        (lambda: exploitability(cyclic_game(), (0.5, 0.5)), "the policy has 2 arms, but the game 3"),
        (lambda: gym.make("envzoo/PrefPoint-v0", kind="best"), "unknown kind of preference 'best'"),
        (
            lambda: gym.make("envzoo/PrefBandit-v0", game="random", arms=10_000),
            "a game of 10000 arms would take 6.0 GiB",
        ),
        (lambda: gym.make("envzoo/PrefBandit-v0", game="round"), "unknown game 'round'"),
    ],
)
def test_refusals(call, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        call()
