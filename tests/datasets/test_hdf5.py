"""Reading episodes from HDF5: the same table as through Minari, whatever the dataset holds."""

import warnings
from types import SimpleNamespace

import h5py
import minari
import numpy as np
import pytest
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer

from envzoo.datasets import TransitionTable
from envzoo.datasets.hdf5 import read_episodes
from envzoo.errors import DatasetError, UnsupportedSpaceError

BOX = spaces.Box(-2, 2, (3,), np.float64)
IMAGE = spaces.Box(0, 255, (32, 32, 3), np.uint8)  # which Minari stores as JPEG
NESTED = spaces.Dict(
    {
        "z": spaces.MultiBinary(4),
        "a": spaces.Dict({"y": spaces.Discrete(7), "b": BOX}),
        "m": spaces.MultiDiscrete([3, 4]),
    }
)
LENGTHS = (3, 1, 5, 2)


def rows(space, count):
    """Draw rows of a space: an array, or for a Dict space a dict of arrays."""
    if isinstance(space, spaces.Dict):
        return {key: rows(part, count) for key, part in space.spaces.items()}
    drawn = [space.sample() for _ in range(count)]
    return tuple(np.stack(part) for part in zip(*drawn, strict=True)) if isinstance(space, spaces.Tuple) else drawn


def make(observation_space, action_space, masks=False):
    """Write a dataset of four episodes."""
    for seed, space in enumerate((observation_space, action_space)):
        space.seed(seed)
    generator, buffers = np.random.default_rng(0), []
    for number, length in enumerate(LENGTHS):
        ends = np.arange(length) == length - 1
        infos = {"other": np.arange(length + 1), "text": ["word"] * (length + 1), "deep": {"x": np.arange(length + 1)}}
        if masks:
            infos["action_mask"] = generator.integers(2, size=(length + 1, 5)).astype(np.int8)
        buffers.append(
            EpisodeBuffer(
                id=number,
                observations=rows(observation_space, length + 1),
                actions=rows(action_space, length),
                rewards=list(generator.normal(size=length)),
                terminations=list(ends & (number % 2 == 0)),
                truncations=list(ends & (number % 2 == 1)),
                infos=infos,
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about authors and links
        return minari.create_dataset_from_buffers(
            "test/made-v0",
            buffers,
            observation_space=observation_space,
            action_space=action_space,
        )


def check_same(found, expected):
    """Compare everything, types and the order of keys included."""
    assert type(found) is type(expected)
    if isinstance(found, dict):
        assert list(found) == list(expected)
        for key in found:
            check_same(found[key], expected[key])
    elif isinstance(found, np.ndarray):
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
    else:
        assert found == expected


def check_table(dataset):
    """Compare the table with one from Minari's own episodes, of all fields."""
    iterated = SimpleNamespace(id=dataset.id, iterate_episodes=dataset.iterate_episodes)
    check_same(vars(TransitionTable.from_minari(dataset)), vars(TransitionTable.from_minari(iterated)))


@pytest.fixture
def refuse_minari(monkeypatch):
    """Let Minari's own reading fail from now on."""

    def refuse():
        def fail(*_):
            raise AssertionError("read by Minari")

        monkeypatch.setattr(minari.MinariDataset, "iterate_episodes", fail)

    return refuse


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize(
    ("observation_space", "action_space"),
    [
        (BOX, spaces.Discrete(5)),
        (NESTED, spaces.Discrete(5)),
        (spaces.Discrete(9), BOX),
        (NESTED, spaces.MultiBinary(2)),
    ],
)
def test_the_same_table(observation_space, action_space, masks, refuse_minari):
    dataset = make(observation_space, action_space, masks)
    check_table(dataset)
    check_table(dataset.filter_episodes(lambda episode: len(episode.rewards) > 1))
    check_table(minari.MinariDataset(dataset.storage, np.array([3, 0, 3])))
    refuse_minari()
    table = TransitionTable.from_minari(dataset)
    assert table.episode_id.tolist() == np.repeat(np.arange(4), LENGTHS).tolist()
    assert (table.action_masks is not None) == masks


def test_no_episodes_are_no_error():
    assert list(read_episodes(minari.MinariDataset(make(BOX, BOX).storage, np.array([], np.int64)))) == []


def test_what_is_stored_otherwise_is_read_by_minari(refuse_minari):
    images = make(spaces.Dict({"image": IMAGE, "x": BOX}), spaces.Discrete(5))
    check_table(images)
    refuse_minari()
    with pytest.raises(DatasetError, match="read by Minari"):
        TransitionTable.from_minari(images)


def test_other_formats_are_read_by_minari(refuse_minari, monkeypatch):
    dataset = make(BOX, spaces.Discrete(5))
    monkeypatch.setattr(type(dataset.storage), "FORMAT", "arrow")
    check_table(dataset)
    refuse_minari()
    with pytest.raises(DatasetError, match="read by Minari"):
        TransitionTable.from_minari(dataset)


@pytest.mark.parametrize("space", [spaces.Tuple((BOX, BOX)), spaces.Text(5, min_length=5)])
def test_what_no_table_holds_is_refused(space):
    with pytest.raises(UnsupportedSpaceError):
        TransitionTable.from_minari(make(space, BOX))


def test_big_endian_numbers_and_single_masks_of_another_kind():
    dataset = make(BOX, spaces.Discrete(5), masks=True)
    with h5py.File(dataset.storage.data_path / "main_data.hdf5", "a") as file:
        rewards, masks = file["episode_1/rewards"][:], file["episode_2/infos/action_mask"][:]
        del file["episode_1/rewards"], file["episode_2/infos/action_mask"]
        file["episode_1"].create_dataset("rewards", data=rewards.astype(">f4"))
        file["episode_2/infos"].create_dataset("action_mask", data=masks.astype(bool), compression="gzip")
        del file["episode_3/infos"]
    check_table(dataset)


@pytest.mark.parametrize("part", ["observations", "actions", "rewards", "terminations"])
def test_damage_is_reported_as_minari_finds_it(part):
    """A group or a text in place of numbers, in an episode in the middle; the ones before it are fine."""
    dataset = make(BOX, spaces.Discrete(5))
    check_table(dataset)
    messages = []
    for damage in ("group", "text", "scalar", "missing"):
        with h5py.File(dataset.storage.data_path / "main_data.hdf5", "a") as file:
            if part in file["episode_2"]:
                del file["episode_2"][part]
            if damage == "group":
                file["episode_2"].create_group(part)
            elif damage != "missing":
                file["episode_2"][part] = ["a"] * 5 if damage == "text" else 3.0
        for given in (dataset, SimpleNamespace(id=dataset.id, iterate_episodes=dataset.iterate_episodes)):
            with pytest.raises((DatasetError, UnsupportedSpaceError)) as raised:
                TransitionTable.from_minari(given)
            messages.append(str(raised.value))
    assert messages[::2] == messages[1::2]
    assert all("\n" not in message for message in messages)


def test_a_part_that_the_space_does_not_have():
    dataset = make(NESTED, spaces.Discrete(5))
    with h5py.File(dataset.storage.data_path / "main_data.hdf5", "a") as file:
        file["episode_1/observations/foreign"] = np.zeros(2)
    with pytest.raises(DatasetError, match="foreign"):
        TransitionTable.from_minari(dataset)
