"""Exports read back by the packages they are for, where these are installed, and their own files read here."""

import numpy as np
import pytest

from envzoo.datasets.importers import from_d3rlpy, from_ogbench
from envzoo.datasets.table import FIELDS, TransitionTable
from envzoo.errors import UnsupportedSpaceError

SHAPES = {"ended and cut off": [(3, True), (4, False), (1, True)], "cut off": [(2, False), (5, False)]}


def make(shape, discrete=False):
    generator, parts = np.random.default_rng(0), []
    for length, ends in shape:
        flags = np.zeros(length, bool)
        flags[-1] = ends
        actions = generator.integers(3, size=length) if discrete else generator.normal(size=(length, 2))
        rewards = generator.normal(size=length).astype(np.float32)
        parts.append((generator.normal(size=(length + 1, 3)), actions, rewards, flags, np.zeros(length, bool)))
    return TransitionTable.from_episodes(parts, 0.9)


def equal(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in (*FIELDS, "next_observations"))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
@pytest.mark.parametrize("discrete", [False, True])
def test_files_of_ogbench_are_restored(shape, discrete, tmp_path):
    table = make(shape, discrete)
    table.save_ogbench(tmp_path / "data.npz")
    with np.load(tmp_path / "data.npz", allow_pickle=False) as file:
        data = dict(file)
    assert data["terminals"].sum() == len(shape)
    assert len(data["terminals"]) == len(table) + len(shape)
    assert equal(from_ogbench(data, 0.9), table)
    goal_conditioned = from_ogbench({name: data[name] for name in ("observations", "actions", "terminals")}, 0.9)
    assert np.array_equal(goal_conditioned.next_observations, table.next_observations)
    assert not goal_conditioned.rewards.any()
    assert not goal_conditioned.terminals.any()


def test_dicts_have_no_file():
    parts = [({"a": np.zeros((3, 1))}, np.zeros((2, 1)), np.zeros(2), np.zeros(2, bool), np.zeros(2, bool))]
    with pytest.raises(UnsupportedSpaceError, match="array observations"):
        TransitionTable.from_episodes(parts).save_ogbench("none.npz")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_ogbench_reads_our_file(shape, tmp_path):
    utils = pytest.importorskip("ogbench.utils")
    table = make(shape)
    table.save_ogbench(tmp_path / "data.npz")
    for compact in (False, True):
        read = utils.load_dataset(tmp_path / "data.npz", compact_dataset=compact)
        ours = table.to_ogbench(compact=compact)
        for name, array in read.items():
            assert np.array_equal(array, ours[name]), name
        again = from_ogbench({**read, "rewards": ours["rewards"], "masks": ours["masks"]}, 0.9)
        assert equal(again, table)


@pytest.mark.parametrize("discrete", [False, True])
def test_d3rlpy_reads_our_arrays(discrete):
    datasets = pytest.importorskip("d3rlpy.dataset")
    table = make(SHAPES["ended and cut off"], discrete)
    space = datasets.MDPDataset(**table.to_d3rlpy())
    assert [len(episode) for episode in space.episodes] == [3, 4, 1]
    assert [bool(episode.terminated) for episode in space.episodes] == [True, False, True]
    assert space.transition_count == len(table) - 1  # the last step of what was cut off has no next observation
    for name in ("observations", "actions", "rewards"):
        rows = np.concatenate([getattr(episode, name) for episode in space.episodes])
        assert np.array_equal(rows.reshape(getattr(table, name).shape), getattr(table, name)), name
    episodes = space.episodes
    lengths = np.cumsum([len(episode) for episode in episodes]) - 1
    ends = np.zeros(len(table), np.float32)
    ends[lengths] = 1
    terminated = np.zeros(len(table), np.float32)
    terminated[lengths] = [episode.terminated for episode in episodes]
    back = from_d3rlpy(
        {
            "observations": np.concatenate([episode.observations for episode in episodes]),
            "actions": np.concatenate([episode.actions for episode in episodes]),
            "rewards": np.concatenate([episode.rewards for episode in episodes]),
            "terminals": terminated,
            "timeouts": ends - terminated,
        },
        0.9,
    )
    kept = ~table.timeouts
    assert np.array_equal(back.actions, table.actions[kept])
    assert np.array_equal(back.rewards, table.rewards[kept])
