"""Bad ids, missing datasets and damaged files: one clear sentence each."""

import json

import numpy as np
import pytest

from envzoo import agents
from envzoo.datasets import TransitionTable, is_dataset_id, load_minari
from envzoo.datasets.collector import collect, write
from envzoo.errors import DatasetError, EnvzooError, UnknownNameError

GRID = "envzoo/GridCoverage-v0"


@pytest.fixture
def made(minari_root):
    """A small dataset under one of our own ids."""

    def stay(observation, state, start, deterministic):
        return np.zeros(len(start), np.int64), None

    buffers = collect(GRID, stay, episodes=4, seed=0)
    settings = {"description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0}
    return write("envzoo/grid-coverage/random-v0", buffers, env_id=GRID, **settings) / "data"


def check_sentence(error):
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_which_names_mean_datasets(made):
    assert is_dataset_id("envzoo/grid-coverage/random-v0")
    assert is_dataset_id("envzoo/grid-coverage/expert-v0")  # known, though not made
    assert is_dataset_id("D4RL/door/human-v2")
    for name in (
        "CartPole-v9",
        "ALE/Pong-v5",
        "envzoo/grid-coverage/exprt-v0",
        "envzoo/grid-coverage/random",
        "../x-v0",
        "a b-v0",
        "",
    ):
        assert not is_dataset_id(name), name


def test_missing():
    with pytest.raises(DatasetError, match="make it with `envzoo make-dataset envzoo/grid-") as error:
        agents.make("BC", "envzoo/grid-coverage/medium-v0")
    check_sentence(error)
    with pytest.raises(DatasetError, match="minari download D4RL/door/human-v2"):
        load_minari("D4RL/door/human-v2")
    with pytest.raises(DatasetError, match="did you mean 'envzoo/grid-coverage/expert-v0'"):
        load_minari("envzoo/grid-coverage/exprt-v0")


def test_bad_id():
    with pytest.raises(DatasetError, match=r"expected \(namespace/\)name-vN; did you mean .*random-v0"):
        load_minari("envzoo/grid-coverage/random")
    with pytest.raises(DatasetError, match="cannot be the id"):
        write("x", [], env_id=GRID, description="", algorithm="", ref_min_score=0, ref_max_score=1)
    with pytest.raises(UnknownNameError, match="did you mean 'envzoo/grid-coverage/expert-v0'"):
        agents.make("BC", "envzoo/grid-coverage/exprt-v0")


def test_truncated_file(made):
    file = made / "main_data.hdf5"
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(DatasetError, match=r"is damaged .* `envzoo make-dataset .*random-v0 --overwrite`") as error:
        load_minari("envzoo/grid-coverage/random-v0")
    check_sentence(error)


def test_empty_and_absent_files(made):
    file = made / "main_data.hdf5"
    file.write_bytes(b"")
    with pytest.raises(DatasetError, match="is damaged"):
        load_minari("envzoo/grid-coverage/random-v0")
    file.unlink()
    with pytest.raises(DatasetError, match="is damaged"):
        load_minari("envzoo/grid-coverage/random-v0")


@pytest.mark.parametrize("text", ["", '{"total_episodes": 4', "{}", "[1]", '{"data_format": "hdf5"}'])
def test_broken_metadata(made, text):
    (made / "metadata.json").write_text(text)
    with pytest.raises(DatasetError, match="is damaged") as error:
        load_minari("envzoo/grid-coverage/random-v0")
    check_sentence(error)


def test_metadata_that_does_not_fit_the_data(made):
    file = made / "metadata.json"
    metadata = json.loads(file.read_text())
    file.write_text(json.dumps(metadata | {"total_episodes": 5}))
    with pytest.raises(DatasetError, match="holds 4 of 5 episodes"):
        load_minari("envzoo/grid-coverage/random-v0")
    file.write_text(json.dumps(metadata | {"dataset_id": "other-v0"}))
    with pytest.raises(DatasetError, match="says it is other-v0"):
        load_minari("envzoo/grid-coverage/random-v0")


@pytest.mark.parametrize("part", ["observations", "actions", "rewards", "terminations", "truncations"])
def test_a_part_of_an_episode_is_missing(made, part):
    import h5py

    with h5py.File(made / "main_data.hdf5", "a") as file:
        del file["episode_2"][part]
    with pytest.raises(DatasetError, match=rf"random-v0 in .* is damaged \(it lacks {part}\); make it again"):
        agents.make("BC", "envzoo/grid-coverage/random-v0")


def test_damage_found_while_reading(made):
    import h5py

    with h5py.File(made / "main_data.hdf5", "a") as file:
        del file["episode_2"]["rewards"]
    with pytest.raises(DatasetError, match="is damaged"):
        TransitionTable.from_minari(load_minari("envzoo/grid-coverage/random-v0"))
    with h5py.File(made / "main_data.hdf5", "a") as file:
        file["episode_2"]["rewards"] = np.zeros(3)
    with pytest.raises(DatasetError, match=r"random-v0 is damaged .*episode 2"):
        TransitionTable.from_minari(load_minari("envzoo/grid-coverage/random-v0"))


def test_actions_outside_the_space(made):
    import h5py

    with h5py.File(made / "main_data.hdf5", "a") as file:
        file["episode_1"]["actions"][0] = 7
    with pytest.raises(DatasetError, match=r"holds actions outside its action space Discrete\(5\)"):
        agents.make("BC", "envzoo/grid-coverage/random-v0")


def test_a_dataset_without_a_known_environment(made):
    dataset = load_minari("envzoo/grid-coverage/random-v0")
    agent = agents.make("BC", dataset, hidden=(8,))
    dataset._env_spec = None
    with pytest.raises(EnvzooError, match="names no environment; give an evaluation environment"):
        agent.source.evaluation_env(2)
