"""The comparison of offline agents: its runs, and its means over datasets."""

import numpy as np
import pytest

from envzoo import agents
from envzoo.datasets import load_minari
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.offline_methods import experiment, further, study
from envzoo.scripts.make_dataset import make_dataset

MAZE = "envzoo/point-maze-stitch/medium-v0"


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    make_dataset(MAZE, quiet=True, episodes=12)
    study.remember.cache_clear()
    yield
    study.remember.cache_clear()


def test_a_dataset_is_read_from_the_disk_once(tmp_path):
    remembered = study.remember(MAZE)
    file = tmp_path / MAZE / "data" / "main_data.hdf5"
    away = file.rename(tmp_path / "away.hdf5")
    settings = {"hidden": [8], "batch_size": 8}
    first = study.run(0, 3, True, "BC", MAZE, settings)
    assert first == study.run(0, 3, True, "BC", MAZE, settings)
    away.rename(file)
    alone = agents.make("BC", load_minari(MAZE), seed=0, device="cpu", threads=1, hidden=(8,), batch_size=8).learn(3)
    again = agents.make("BC", remembered, seed=0, device="cpu", threads=1, hidden=(8,), batch_size=8).learn(3)
    assert all(bool((a == b).all()) for a, b in zip(alone.policy.parameters(), again.policy.parameters(), strict=True))


def results(scores):
    """Results with one score per arm and seed."""
    arms = {
        name: {"group": "", "runs": [{"seed": seed, "scores": {"score": value}} for seed, value in enumerate(values)]}
        for name, values in scores.items()
    }
    return Results({"arms": arms, "seeds": [0, 1], "paper": {"slug": "none"}})


def test_means_over_datasets_by_hand():
    worlds = ("PointMazeStitch, mixed", "LuckyBandit, p10")
    scores = {"IQL": ((10.0, 20.0), (30.0, 60.0)), "BC": ((1.0, 2.0), (3.0, 4.0))}
    found = results(
        {experiment.on(world, agent): rows[i] for agent, rows in scores.items() for i, world in enumerate(worlds)}
    )
    assert experiment.mean_gain(found, "IQL", "BC", worlds) == pytest.approx([(9 + 27) / 2, (18 + 56) / 2])
    assert experiment.mean_scores(found, "IQL", worlds) == pytest.approx([20.0, 40.0])
    more = {**found.data["arms"], **results({experiment.on(worlds[0], "IQL"): [10.0, 20.0, 30.0]}).data["arms"]}
    more |= results({experiment.on(worlds[0], "BC"): [1.0, 2.0, 3.0]}).data["arms"]
    assert experiment.mean_gain(type(found)({**found.data, "arms": more}), "IQL", "BC", worlds).shape == (2,)
    assert experiment.mean_scores(found, "CQL", worlds) is None


def test_every_agent_runs_on_every_dataset_of_its_actions():
    for world in experiment.WORLDS:
        here = experiment.agents_of(world)
        assert set(here) >= {"BC", "FilteredBC", "IQL", "CQL", "AWAC", "ODICE", "RCSL", "DecisionTransformer", "DoC"}
        assert ("PRDC" in here) == (world in experiment.BOX)
    assert len({arm.name for arm in experiment.ARMS}) == len(experiment.ARMS) == 4 * 13 + 4 * 9
    assert np.all([arm.group in experiment.WORLDS for arm in experiment.ARMS])


def test_further_runs_are_those_of_seeds_that_the_first_ones_did_not_have(monkeypatch):
    assert further.run is study.run
    monkeypatch.setattr(further, "run", lambda *given, **named: (given, named))
    named = {"agent": "BC", "dataset": MAZE, "settings": {"hidden": [8]}}
    assert further.run_further(2, 3, True, 5, **named) == ((7, 3, True), named)
    first = experiment.EXPERIMENT.first_seed
    judged = set(range(first, first + experiment.EXPERIMENT.seeds))
    by_name = {arm.name: arm for arm in experiment.ARMS}
    for arm in experiment.FURTHER_ARMS:
        assert not judged & {seed + arm.settings["after"] for seed in range(first, first + arm.seeds)}
        like = by_name[arm.name.replace(experiment.FURTHER, experiment.LUCK)]
        assert {**like.settings, "after": arm.settings["after"]} == dict(arm.settings)
        assert arm.budget == like.budget
