"""Learning histories: they are what the environment does, and the sheet's examples of their filter."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envzoo.datasets import TransitionTable, load_minari
from envzoo.datasets.histories import best_actions, play_histories, read_infos
from envzoo.datasets.history_filter import (
    LearningHistoryFilter,
    improvement,
    keep_probabilities,
    resample,
    stability,
    utility,
)
from envzoo.datasets.recipes import LearningHistories, recipes
from envzoo.datasets.recipes.offline import GOALS, HELD_OUT
from envzoo.errors import DatasetError, EnvzooError
from envzoo.offline.darkroom import Darkroom
from envzoo.scripts.make_dataset import make_dataset

TASKS = ({"goal": [0, 0]}, {"goal": [2, 1]})
KWARGS = {"size": 3, "goal": [2, 2]}


def play(**changes):
    settings = {"histories": 4, "episodes": 5, "noise": 0.25, "seed": 3, "env_kwargs": KWARGS, **changes}
    return play_histories("envzoo/Darkroom-v0", TASKS, **settings)


@pytest.fixture(scope="module")
def buffers():
    return play()


def test_histories_are_what_the_environment_does(buffers):
    assert len(buffers) == 8
    for number, history in enumerate(buffers):
        task = number % 2
        assert set(history.infos["task"].tolist()) == {task}
        env = gym.make("envzoo/Darkroom-v0", **{**KWARGS, **TASKS[task]})
        for episode in range(5):
            observation, _ = env.reset()
            for step in range(20):
                row = 20 * episode + step
                assert history.infos["episode"][row] == episode
                assert np.array_equal(history.observations[row], observation)
                observation, reward, terminated, truncated, _ = env.step(history.actions[row])
                assert history.rewards[row] == reward
                assert (history.terminations[row], history.truncations[row]) == (terminated, truncated)
                if step < 19:
                    assert np.array_equal(history.observations[row + 1], observation)
        assert (history.infos["best_return"] == env.unwrapped.definition.largest_return(20)).all()


def test_histories_depend_on_the_seed_alone(buffers):
    again, other = play(), play(seed=4)
    assert all(np.array_equal(a.actions, b.actions) for a, b in zip(buffers, again, strict=True))
    assert not all(np.array_equal(a.actions, b.actions) for a, b in zip(buffers, other, strict=True))
    # A task's histories do not depend on the other tasks.
    alone = play_histories(
        "envzoo/Darkroom-v0", TASKS[:1], histories=4, episodes=5, noise=0.25, seed=3, env_kwargs=KWARGS
    )
    assert all(np.array_equal(a.actions, b.actions) for a, b in zip(buffers[::2], alone, strict=True))


def test_learners_learn_and_random_ones_do_not():
    played = play(histories=20, episodes=30)
    rewards = np.stack([history.rewards.reshape(30, 20).sum(axis=1) for history in played])
    random, learning = rewards[:10], rewards[10:]  # a quarter of 20, of two tasks
    assert learning[:, -5:].mean() > 2 * learning[:, :5].mean()
    assert abs(random[:, -5:].mean() - random[:, :5].mean()) < 1.5


@given(st.integers(0, 4), st.integers(0, 4), st.permutations(range(5)))
def test_best_actions_lead_to_the_goal_by_the_shortest_way(row, column, permutation):
    world = Darkroom(size=5, goal=(row, column), permutation=tuple(permutation))
    places = np.stack(np.meshgrid(np.arange(5), np.arange(5), indexing="ij"), axis=-1)
    moved = places + world.parameters.moves[best_actions(world, places)]
    before, after = (np.abs(where - [row, column]).sum(axis=-1) for where in (places, moved))
    assert (after == np.maximum(before - 1, 0)).all()


def test_histories_with_a_key_and_a_door():
    """The best action leads to the key and, after the first reward of an episode, to the door."""
    tasks = ({"key": [0, 0], "door": [2, 1]}, {"key": [1, 1], "door": [1, 1]})
    settings = {"histories": 4, "episodes": 40, "noise": 0.25, "seed": 3, "env_kwargs": {"size": 3}}
    played = play_histories("envzoo/DarkKeyToDoor-v0", tasks, **settings)
    for number, history in enumerate(played):
        task = tasks[number % 2]
        env = gym.make("envzoo/DarkKeyToDoor-v0", size=3, **task)
        for row, (action, reward) in enumerate(zip(history.actions, history.rewards, strict=True)):
            if row % 50 == 0:
                observation, _ = env.reset()
                total = 0.0
            assert np.array_equal(history.observations[row], observation)
            target = task["door"] if total else task["key"]
            after = env.unwrapped.definition.parameters.moves[history.infos["best_action"][row]] + observation
            distance = np.abs(observation - target).sum()
            assert np.abs(after - target).sum() == max(distance - 1, 0)
            observation, seen, *_ = env.step(action)
            assert reward == seen
            total += reward
        assert (history.infos["best_return"] == 2).all()
    returns = np.stack([history.rewards.reshape(40, 50).sum(axis=1) for history in played[2:]])
    assert (returns[:, -10:] == 2).all()
    assert (returns[:, :3] < 2).any()


HISTORY_RECIPES = [row for row in recipes().values() if isinstance(row.policy, LearningHistories)]


@pytest.mark.parametrize("row", HISTORY_RECIPES, ids=lambda row: row.id)
def test_tasks_of_the_recipes(row):
    tasks = [str(dict(task)) for task in row.policy.tasks]
    assert len(set(tasks)) == len(tasks) >= 10
    assert row.episodes == len(tasks) * row.policy.histories
    limit = gym.spec(row.env_id).max_episode_steps
    assert gym.make(row.env_id, **row.env_kwargs).unwrapped.definition.largest_return(limit) == row.reference
    for task in row.policy.tasks:
        assert gym.make(row.env_id, **{**row.env_kwargs, **task}).unwrapped.definition.largest_return(limit) > 0


def test_the_recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    make_dataset("envzoo/darkroom/noisy-histories-v0", quiet=True, episodes=30)
    dataset = load_minari("envzoo/darkroom/noisy-histories-v0")
    infos, table = read_infos(dataset), TransitionTable.from_minari(dataset)
    assert table.num_episodes == 30
    assert infos.task.tolist() == [*range(20), *range(10)]
    assert infos.begins.sum() == 30 * 40
    assert [len(row) for row in infos.returns] == [40] * 30
    assert sum(row.sum() for row in infos.returns) == pytest.approx(table.rewards.sum())
    assert infos.best_return[GOALS.index((2, 2))] == 20
    assert infos.best_return[GOALS.index((0, 0))] == 17
    assert len(GOALS) == 20
    assert not set(GOALS) & set(HELD_OUT)


def test_other_datasets_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_dataset("envzoo/darkroom/random-v0", quiet=True, episodes=2)
    with pytest.raises(DatasetError, match="does not hold learning histories: its infos lack task, episode, best_act"):
        read_infos(load_minari("envzoo/darkroom/random-v0"))


# ---------------------------------------------------------------------------- the filter


@pytest.mark.parametrize(
    ("returns", "improved", "stable"),
    [([0, 5, 10], 0.75, 1.0), ([10, 0, 10, 0], 0.75, 0.0), ([10, 10, 10], 0.5, 1.0), ([0, 0, 0], 0.0, 1.0)],
)
def test_metrics_by_hand(returns, improved, stable):
    assert improvement(returns, 10) == improved
    assert stability(returns, 10) == stable
    assert utility(returns, 10, 1.0) == improved + stable
    assert utility(returns, 10, 2.0) == improved + 2 * stable
    assert stability([3], 10) == 1  # one episode cannot fall


def test_a_dead_history_is_perfectly_stable():
    dead, learning = [0, 0, 0, 0], [0, 4, 2, 8]
    assert utility(learning, 10, 0.5) > utility(dead, 10, 0.5)
    assert utility(learning, 10, 5.0) < utility(dead, 10, 5.0)


def test_probabilities_by_hand():
    assert keep_probabilities([1, 2, 3]).tolist() == [0, 0.5, 1]
    assert keep_probabilities([2, 2]).tolist() == [1, 1]
    soft = np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()
    assert keep_probabilities([1, 2, 3], 1.0) == pytest.approx((soft - soft[0]) / (soft[2] - soft[0]))
    assert keep_probabilities([1e4, 2e4, 3e4], 1.0).tolist() == [0, 0, 1]


@given(st.integers(0, 10_000), st.booleans())
def test_the_worst_is_never_kept_and_the_best_always(seed, shuffle):
    kept = resample([0, 0.5, 1], np.random.default_rng(seed), shuffle)
    assert len(kept) == 3
    assert 0 not in kept
    assert 2 in kept or shuffle  # in order, the first sweep reaches it before the set is full


@pytest.mark.parametrize("shuffle", [False, True])
def test_frequencies_of_many_histories(shuffle):
    """In proportion to p / sum p: 4000 histories of each of four probabilities, within 5 standard deviations."""
    p = np.tile([0.0, 0.25, 0.5, 1.0], 4000)
    shares = np.bincount(resample(p, np.random.default_rng(0), shuffle) % 4, minlength=4) / len(p)
    assert shares == pytest.approx(np.array([0, 0.25, 0.5, 1]) / 1.75, abs=5 * 0.5 / np.sqrt(len(p)))


def test_late_histories_are_kept_less_often_unless_sweeps_are_shuffled():
    p, counts = np.array([1.0, 1.0, 0.0, 1.0]), {}
    for shuffle in (False, True):
        drawn = [resample(p, np.random.default_rng(seed), shuffle) for seed in range(400)]
        counts[shuffle] = np.bincount(np.concatenate(drawn), minlength=4)
    assert counts[False].tolist() == [800, 400, 0, 400]
    assert counts[True][0] < 700


def test_the_filter_works_task_by_task():
    returns = [np.array(r, float) for r in ([0, 5, 10], [0, 0, 1], [0, 0, 0], [0, 1, 2], [2, 2, 2])]
    tasks, best = np.array([7, 7, 7, 3, 3]), np.array([10, 10, 10, 2, 2])
    weighted = LearningHistoryFilter(mode="weight")(returns, tasks, best, np.random.default_rng(0))
    u = [utility(r, b) for r, b in zip(returns, best, strict=True)]
    first = keep_probabilities(u[:3])
    assert weighted[:3] == pytest.approx(first / first.mean())
    assert weighted[3:].tolist() == [2, 0]
    counts = LearningHistoryFilter()(returns, tasks, best, np.random.default_rng(0))
    assert counts[:3].sum() == 3
    assert counts[3:].tolist() == [2, 0]
    assert counts[2] == 0
    assert np.array_equal(counts, LearningHistoryFilter()(returns, tasks, best, np.random.default_rng(0)))


def test_bad_inputs_of_the_filter():
    for call, sentence in (
        (lambda: improvement([], 10), "returns of a history are at least one finite number"),
        (lambda: improvement([np.nan], 10), "returns of a history are at least one finite number"),
        (lambda: stability([1.0], 0), "the best return of a task is positive, got 0"),
        (lambda: keep_probabilities([]), "utilities of histories are at least one finite number"),
        (lambda: keep_probabilities([1, 2], 0.0), "the temperature of the filter is positive, got 0.0"),
        (lambda: resample([0.5], np.random.default_rng(0)), "and the largest of them is 1"),
        (
            lambda: LearningHistoryFilter()([np.ones(2)], np.array([0, 1]), np.ones(1), np.random.default_rng(0)),
            "there are 1 histories, 2 tasks and 1 best returns",
        ),
    ):
        with pytest.raises(EnvzooError, match=sentence):
            call()
