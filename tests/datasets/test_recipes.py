"""Making datasets: the collector, the files, and what Minari's own users find in them."""

import dataclasses
import os
import warnings

import gymnasium as gym
import minari
import numpy as np
import pytest

from envzoo import agents
from envzoo.datasets import collector as collecting
from envzoo.datasets import is_dataset_id, known_dataset_ids, load_minari, recipes
from envzoo.datasets.collector import collect, returns, write
from envzoo.datasets.recipes import Demonstrations, DrawnPairs, LearningHistories, ScriptedPolicy
from envzoo.datasets.table import TransitionTable
from envzoo.errors import DatasetError, EnvzooError, UnknownNameError
from envzoo.reasoning.task import Task
from envzoo.scripts.make_dataset import make_dataset, make_script

GRID = "envzoo/GridCoverage-v0"
RANDOM = "envzoo/grid-coverage/random-v0"


def in_turn(observation, state, episode_start, deterministic):
    """A policy with memory: actions 0, 1, 2, 3, 4, 0, ... in each episode."""
    turn = np.zeros(len(episode_start), np.int64) if state is None else np.where(episode_start, 0, state)
    return turn % 5, turn + 1


def save(dataset_id="test/turn-v0", buffers=None, **rest):
    buffers = buffers or collect(GRID, in_turn, episodes=3, seed=0)
    settings = {"env_id": GRID, "description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0} | rest
    return write(dataset_id, buffers, **settings)


def test_recipes_are_data():
    for dataset_id, recipe in recipes().items():
        assert dataset_id == recipe.id
        assert is_dataset_id(dataset_id)
        gym.spec(recipe.env_id)
        if isinstance(recipe.policy, Demonstrations):
            assert isinstance(gym.make(recipe.env_id).unwrapped.definition.task, Task)
            continue
        if isinstance(recipe.policy, DrawnPairs):
            assert callable(gym.make(recipe.env_id, **recipe.env_kwargs).unwrapped.definition.preference_pairs)
            continue
        if isinstance(recipe.policy, ScriptedPolicy):
            assert callable(make_script(recipe.policy, recipe.env_id, recipe.env_kwargs).predict)
            continue
        if isinstance(recipe.policy, LearningHistories):
            for task in recipe.policy.tasks:
                gym.make(recipe.env_id, **recipe.env_kwargs | task)
            continue
        config = agents.registry.agent_class(recipe.policy.agent).Config
        assert set(recipe.policy.hyperparameters) <= {field.name for field in dataclasses.fields(config)}
    assert list(recipes()) == known_dataset_ids()


def test_make_dataset(minari_root):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        path = make_dataset(RANDOM, quiet=True, episodes=20)
    assert path == minari_root / RANDOM
    assert os.listdir(minari_root) == ["envzoo"]  # nothing is left of the build
    dataset = minari.load_dataset(RANDOM)
    assert dataset.total_episodes == 20
    assert dataset.total_steps == 400
    metadata = dataset.storage.metadata
    assert 13 < metadata["ref_min_score"] < 17
    # Every move adds at most 3 cells and the first, along the border, 2: the planner finds the optimum.
    assert metadata["ref_max_score"] == 59
    assert metadata["num_episodes_average_score"] == 1000
    assert metadata["data_format"] == "hdf5"
    assert not metadata["jpeg_encoding"]
    assert metadata["behaviour_policy"]["agent"] == metadata["algorithm_name"] == "Random"
    assert "cover a grid" in minari.namespace.get_namespace_metadata("envzoo/grid-coverage")["description"]
    assert minari.namespace.get_namespace_metadata("envzoo")["description"]
    episode = dataset[3]
    assert set(episode.infos) == {"coverage", "modular_reward"}
    assert "coverage" in repr(episode)
    # Played again in the recovered environment, the actions give what was stored.
    env = dataset.recover_environment()
    seed = next(iter(dataset.storage.get_episode_metadata([3])))["seed"]
    observation, info = env.reset(seed=seed)
    for t, action in enumerate(episode.actions):
        assert np.array_equal(observation, episode.observations[t])
        assert info["coverage"] == episode.infos["coverage"][t]
        observation, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated) == (
            episode.rewards[t],
            episode.terminations[t],
            episode.truncations[t],
        )
    assert np.array_equal(observation, episode.observations[-1])
    score = minari.get_normalized_score(dataset, np.array([59.0]))
    assert score == 1


@pytest.mark.parametrize("puzzle", ["text-sum-to", "text-tool-puzzle"])
def test_demonstrations_of_puzzles(puzzle):
    dataset_id = f"envzoo/{puzzle}/demonstrations-v0"
    make_dataset(dataset_id, quiet=True, episodes=40)
    dataset = minari.load_dataset(dataset_id)
    task = dataset.recover_environment().unwrapped.definition.task
    scores = []
    for episode in dataset.iterate_episodes():
        prompt, answer = np.split(episode.observations[-1], [task.prompt_length])
        own = answer[task.model_mask(prompt[None], answer[None])[0]]
        assert own.tolist() == episode.actions.tolist()
        assert task.verify(prompt[None], answer[None]) == episode.rewards.sum()
        assert episode.terminations[-1]
        scores.append(episode.rewards.sum())
    assert 0.5 < np.mean(scores) < 1  # three quarters of them are meant to be right
    assert dataset.storage.metadata["ref_max_score"] == 1
    first = dataset[0].actions
    make_dataset(dataset_id, quiet=True, episodes=40, overwrite=True)
    assert np.array_equal(minari.load_dataset(dataset_id)[0].actions, first)


def test_the_same_recipe_gives_the_same_arrays():
    tables = []
    for _ in range(2):
        make_dataset("envzoo/grid-coverage/medium-v0", overwrite=True, quiet=True, episodes=10)
        tables.append(TransitionTable.from_minari(load_minari("envzoo/grid-coverage/medium-v0")))
    for field in dataclasses.fields(TransitionTable):
        assert np.array_equal(*(getattr(table, field.name) for table in tables)), field.name
    assert tables[0].episode_returns().mean() > 25  # it has learned something


def test_collector_boundaries_and_memory(monkeypatch):
    whole = collect(GRID, in_turn, episodes=5, seed=3, env_kwargs={"start": "random"})
    assert [buffer.seed for buffer in whole] == [3, 4, 5, 6, 7]
    for buffer in whole:
        assert buffer.actions.tolist() == [0, 1, 2, 3, 4] * 4
        assert buffer.observations.shape == (21, 2)
        assert buffer.observations[:, 1].tolist() == list(range(21))
        assert buffer.terminations.tolist() == [False] * 19 + [True]
    assert len({buffer.observations[0, 0] for buffer in whole}) > 1
    monkeypatch.setattr(collecting, "MAX_PARALLEL", 2)
    pieces = collect(GRID, in_turn, episodes=5, seed=3, env_kwargs={"start": "random"})
    assert all(np.array_equal(a.observations, b.observations) for a, b in zip(whole, pieces, strict=True))


def test_collector_with_episodes_of_different_lengths():
    """CartPole has no kernel, no infos, and ends early."""

    def left(observation, state, start, deterministic):
        return np.zeros(len(start), np.int64), None

    buffers = collect("CartPole-v1", left, episodes=4, seed=0)
    lengths = {len(buffer.rewards) for buffer in buffers}
    assert len(lengths) > 1
    for buffer in buffers:
        steps = len(buffer.rewards)
        assert buffer.observations.shape == (steps + 1, 4)
        assert buffer.infos["step"].tolist() == list(range(steps + 1))
        assert buffer.terminations[-1]
        assert not buffer.terminations[:-1].any()
        env = gym.make("CartPole-v1")
        assert np.array_equal(env.reset(seed=buffer.seed)[0], buffer.observations[0])
        for t in range(steps):
            observation = env.step(0)[0]
            assert np.array_equal(observation, buffer.observations[t + 1])
    assert returns(buffers).tolist() == [len(buffer.rewards) for buffer in buffers]


def test_collector_refuses():
    with pytest.raises(EnvzooError, match="at least 1 episode"):
        collect(GRID, in_turn, episodes=0, seed=0)
    with pytest.raises(EnvzooError, match="NEXT_STEP"):
        collect(GRID, in_turn, episodes=2, seed=0, env_kwargs={"autoreset_mode": "SameStep"})


def test_dict_observations_and_exact_images_survive():
    buffers = collect(GRID, in_turn, episodes=2, seed=0, env_kwargs={"coverage_mask": True, "horizon": 3})
    save(buffers=buffers, env_kwargs={"coverage_mask": True, "horizon": 3})
    table = TransitionTable.from_minari(load_minari("test/turn-v0"))
    assert np.array_equal(table.observations["covered"][:3], buffers[0].observations["covered"][:3])
    assert np.array_equal(table.next_observations["position"][3:], buffers[1].observations["position"][1:])


def test_an_existing_dataset_is_kept_unless_told(minari_root):
    save()
    with pytest.raises(DatasetError, match="exists already"):
        save()
    save(overwrite=True, description="new")
    assert load_minari("test/turn-v0").storage.metadata["description"] == "new"
    make_dataset(RANDOM, quiet=True, episodes=2)
    with pytest.raises(DatasetError, match=r"exists already .* --overwrite"):
        make_dataset(RANDOM, quiet=True, episodes=2)


def test_a_build_that_dies_leaves_nothing(minari_root, monkeypatch):
    save()

    def die(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(minari, "create_dataset_from_buffers", die)
    for dataset_id in ("test/other-v0", "test/turn-v0"):
        with pytest.raises(KeyboardInterrupt):
            save(dataset_id, overwrite=True)
    assert os.environ["MINARI_DATASETS_PATH"] == str(minari_root)
    assert not is_dataset_id("test/other-v0")
    assert len(load_minari("test/turn-v0")) == 3
    # Not even what a kill leaves behind is taken for a dataset; a day later the next build sweeps it up.
    left = minari_root / f"{collecting.BUILDING}x"
    (left / "test" / "other-v0" / "data").mkdir(parents=True)
    assert list(minari.list_local_datasets()) == ["test/turn-v0"]
    os.utime(left, (0, 0))
    monkeypatch.undo()
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(minari_root))
    save("test/third-v0")
    assert not left.exists()


def test_unknown_recipe():
    with pytest.raises(UnknownNameError, match="did you mean 'envzoo/grid-coverage/expert-v0'"):
        make_dataset("envzoo/grid-coverage/exprt-v0")
