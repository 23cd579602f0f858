"""Memory-mapped transition tables: equal to tables in memory, atomic, and safe to read."""

import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from envzoo.datasets import TransitionTable, n_step_returns
from envzoo.datasets import table as table_module
from envzoo.datasets.episodes import map_arrays
from envzoo.datasets.mapped import MappedWriter, read_mapped
from envzoo.errors import DatasetError, StorageError


def episode(length, seed, masks=True, form="box"):
    generator = np.random.default_rng(seed)
    observations = generator.normal(size=(length + 1, 3))
    if form == "dict":
        observations = {"a": observations, "b": {"c": generator.integers(5, size=length + 1)}}
    ends = np.zeros(length, bool)
    ends[-1] = seed % 2
    return SimpleNamespace(
        observations=observations,
        actions=generator.integers(4, size=length),
        rewards=generator.normal(size=length),
        terminations=ends,
        truncations=~ends,
        infos={"action_mask": generator.integers(2, size=(length + 1, 4))} if masks else {},
    )


def stand_in(episodes):
    """Minari dataset with the parts that `TransitionTable` reads."""
    return SimpleNamespace(id="test/stand-in-v0", iterate_episodes=lambda: iter(episodes))


def assert_equal(one, other):
    assert one.gamma == other.gamma
    first, second = one.columns(), other.columns()
    assert first.keys() == second.keys()
    for name in first:

        def compare(a, b, name=name):
            assert a.dtype == b.dtype, name
            assert np.array_equal(a, b), name

        map_arrays(compare, first[name], second[name])


@pytest.mark.parametrize("form", ["box", "dict"])
@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("block", [1, 7, 65_536])
def test_a_converted_table_equals_the_one_in_memory(tmp_path, monkeypatch, form, masks, block):
    monkeypatch.setattr(table_module, "BLOCK", block)
    dataset = stand_in([episode(length, seed, masks, form) for seed, length in enumerate((3, 1, 6, 4))])
    expected = TransitionTable.from_minari(dataset, gamma=0.9)
    found = TransitionTable.convert(dataset, tmp_path / "deep" / "table", gamma=0.9)
    assert_equal(found, expected)
    assert_equal(TransitionTable.open(tmp_path / "deep" / "table"), expected)
    assert (found.num_episodes, len(found)) == (4, 14)
    assert isinstance(found.rewards, np.memmap)
    assert not found.rewards.flags.writeable


def test_every_operation_works_on_a_mapped_table(tmp_path):
    dataset = stand_in([episode(length, seed) for seed, length in enumerate((3, 1, 6, 4))])
    memory, mapped = TransitionTable.from_minari(dataset), TransitionTable.convert(dataset, tmp_path / "table")
    for function in (
        lambda t: t.sample(20, np.random.default_rng(0)),
        lambda t: t.sample(20, np.random.default_rng(0), weights=np.arange(14)),
        lambda t: t.sample_windows(9, 4, np.random.default_rng(0)),
        lambda t: t.normalise_states()[0].columns(),
        lambda t: t.top_episodes(0.5).columns(),
        lambda t: t.scale_rewards().columns(),
        lambda t: n_step_returns(t, 3)._asdict(),
        lambda t: t.to_d4rl(),
        lambda t: t.to_ogbench(compact=True),
        lambda t: t.to_d3rlpy(),
    ):
        first, second = function(memory), function(mapped)
        assert first.keys() == second.keys()
        for name in first:
            map_arrays(lambda a, b: np.testing.assert_array_equal(a, b), first[name], second[name])


def test_masks_that_some_episodes_lack_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(table_module, "BLOCK", 1)
    dataset = stand_in([episode(3, 0), episode(2, 1, masks=False), episode(4, 2)])
    found = TransitionTable.convert(dataset, tmp_path / "table")
    assert found.action_masks is None
    assert_equal(found, TransitionTable.from_minari(dataset))
    assert len(list((tmp_path / "table").glob("*.bin"))) == 9


def test_an_interrupted_conversion_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(table_module, "BLOCK", 1)

    def broken():
        yield episode(3, 0)
        raise KeyError("no such episode")

    dataset = SimpleNamespace(id="test/stand-in-v0", iterate_episodes=broken)
    with pytest.raises(DatasetError, match="is damaged"):
        TransitionTable.convert(dataset, tmp_path / "table")
    assert os.listdir(tmp_path) == []
    with pytest.raises(DatasetError, match="holds no transitions"):
        TransitionTable.convert(stand_in([]), tmp_path / "table")
    assert os.listdir(tmp_path) == []


def test_other_forms_of_later_episodes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table_module, "BLOCK", 1)
    other = episode(2, 1)
    other.observations = np.zeros((3, 5))
    with pytest.raises(DatasetError, match="observations has rows of type"):
        TransitionTable.convert(stand_in([episode(2, 0), other]), tmp_path / "table")
    assert os.listdir(tmp_path) == []


def test_nothing_is_overwritten(tmp_path):
    dataset = stand_in([episode(3, 0)])
    TransitionTable.convert(dataset, tmp_path / "table")
    with pytest.raises(StorageError, match="exists already"):
        TransitionTable.convert(dataset, tmp_path / "table")
    with pytest.raises(StorageError, match="not the path of a folder"):
        TransitionTable.convert(dataset, None)
    with MappedWriter(tmp_path / "two") as writer:
        writer.append({"episode_id": np.zeros(2, np.int64)})
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "file").touch()
        with pytest.raises(StorageError):
            writer.finish({})
    assert sorted(os.listdir(tmp_path)) == ["table", "two"]


def test_damaged_and_foreign_folders_are_refused(tmp_path):
    good = tmp_path / "good"
    TransitionTable.convert(stand_in([episode(3, 0), episode(2, 1)]), good)
    with pytest.raises(DatasetError, match="holds no table; convert a dataset"):
        TransitionTable.open(tmp_path)
    manifest = json.loads((good / "table.json").read_text())

    def attempt(change, match):
        bad = tmp_path / "bad"
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(good, bad)
        changed = json.loads(json.dumps(manifest))
        if change(changed, bad) is not False:
            (bad / "table.json").write_text(json.dumps(changed))
        with pytest.raises(DatasetError, match=match):
            TransitionTable.open(bad)

    def put(*path, value):
        def change(tree, _):
            for name in path[:-1]:
                tree = tree[name]
            tree[path[-1]] = value

        return change

    attempt(put("format", value="x"), "its format is 'x'")
    attempt(put("format_version", value=2), "version 2")
    for rows in (6, 0, -1, True, "5", 2**60):
        attempt(put("rows", value=rows), "is damaged")
    for dtype in ("|O", "<f2000", "O", 4, None, "<V8", "M8"):
        attempt(put("columns", 0, "dtype", value=dtype), "is damaged")
    for shape in ([0], [-1], [2**60], "3", [2.0], [True]):
        attempt(put("columns", 0, "shape", value=shape), "is damaged")
    attempt(put("columns", 0, "path", value=["../../etc"]), "is damaged")
    attempt(put("columns", 0, "path", value=["rewards"]), "two columns have the name rewards")
    attempt(put("columns", 0, "path", value=["rewards", "x"]), "is damaged")
    attempt(put("columns", 0, "path", value=[]), "is damaged")
    attempt(put("columns", value=[]), "it lacks actions")
    attempt(put("facts", value={}), "its gamma is None")
    attempt(put("facts", "gamma", value=7), "its gamma is 7")
    attempt(lambda tree, bad: tree["columns"].pop(), "lacks")
    attempt(lambda tree, bad: (bad / "column000.bin").unlink(), "is damaged")
    attempt(lambda tree, bad: os.truncate(bad / "column000.bin", 10), "column000.bin has 10 bytes, expected")
    attempt(lambda tree, bad: (bad / "table.json").write_text("{") and False, "is damaged")
    attempt(lambda tree, bad: (bad / "table.json").write_bytes(b"\xff\xfe") and False, "is damaged")
    attempt(lambda tree, bad: (bad / "table.json").write_text("[" * 100_000) and False, "is damaged")


def test_columns_in_groups(tmp_path):
    with MappedWriter(tmp_path / "table") as writer:
        for part in range(2):
            writer.append({"episode_id": np.array([0, 0, 1]), "x": {"y": {"z": np.full((3, 2), part, ">f4")}}})
        writer.finish({"a": 1})
    facts, columns = read_mapped(tmp_path / "table", ["episode_id", "x"])
    assert facts == {"a": 1}
    assert columns["episode_id"].tolist() == [0, 0, 1, 2, 2, 3]
    assert columns["x"]["y"]["z"].tolist() == [[0, 0]] * 3 + [[1, 1]] * 3
