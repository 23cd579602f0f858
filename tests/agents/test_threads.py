"""The number of threads: chosen from sizes alone, in force while learning, saved with the agent."""

import json
import os
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.agents.callback import Callback
from envzoo.agents.evaluation import evaluate
from envzoo.agents.registry import agent_class
from envzoo.agents.threads import MAX_THREADS, count_parameters, rows_of, threads_for, using_threads
from envzoo.errors import CheckpointError, EnvzooError

pytestmark = pytest.mark.any_arithmetic

SOURCE = "envzoo/GridCoverage-v0"
SMALL = {"num_envs": 2, "num_steps": 4, "num_epochs": 1, "hidden": (4,)}


@pytest.fixture(autouse=True)
def threads_as_they_were():
    with using_threads(torch.get_num_threads()):
        yield


class Threads(Callback):
    def __init__(self):
        self.seen = set()

    def on_iteration(self, agent, metrics):
        self.seen.add(torch.get_num_threads())


@pytest.mark.parametrize(("power", "below", "threads"), [(36, 1, 2), (38, 2, 4), (40, 4, 8)])
def test_the_rule(power, below, threads):
    rows = -(-(2**power) // 6)  # with one parameter, an update of this many rows takes 2^power operations
    assert threads_for(1, rows - 1) == threads_for(rows - 1, 1) == below
    assert threads_for(1, rows) == threads_for(rows, 1) == threads
    assert threads_for(0, rows) == 1


def test_rows_are_those_of_a_batch():
    assert rows_of(agent_class("PPO").Config()) == 256
    assert rows_of(agent_class("SubPOActorCritic").Config()) == 15 * 400  # all of them, in one minibatch
    assert rows_of(agent_class("SAC").Config()) == 256
    assert rows_of(agent_class("SubPO").Config(num_envs=64)) == 64
    assert rows_of(SimpleNamespace()) == 1


def test_parameters_are_those_that_are_trained():
    agent = agents.make("SAC", "Pendulum-v1", hidden=(8,))
    actor = (3 * 8 + 8) + (8 * 2 + 2)
    critic = (4 * 8 + 8) + (8 * 1 + 1)
    assert count_parameters(agent) in (actor + 2 * critic, actor + 2 * critic + 1)  # without its target networks


@pytest.mark.parametrize("ambient", [1, 3])
def test_it_is_in_force_while_learning_and_evaluating_and_restored_then(ambient):
    torch.set_num_threads(ambient)
    seen = Threads()
    agent = agents.make("PPO", SOURCE, threads=2, **SMALL)
    agent.learn(16, seen)
    assert seen.seen == {2}
    assert torch.get_num_threads() == ambient
    predict, during = agent.predict, []
    agent.predict = lambda *a: during.append(torch.get_num_threads()) or predict(*a)
    evaluate(agent, episodes=1)
    assert set(during) == {2}
    assert torch.get_num_threads() == ambient
    with pytest.raises(EnvzooError):
        agent.learn(0)
    assert torch.get_num_threads() == ambient


@pytest.mark.parametrize("ambient", [1, 3])
def test_auto_does_not_look_at_the_machine(ambient, tmp_path, monkeypatch):
    torch.set_num_threads(ambient)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64))
    seen = Threads()
    agent = agents.make("PPO", SOURCE, **SMALL)
    agent.learn(8, seen)
    assert agent.threads == 1
    assert seen.seen == {1}
    agents.make("PPO", SOURCE, threads=1, **SMALL).learn(8).save(tmp_path / "one.zip")
    agent.save(tmp_path / "auto.zip")
    assert (tmp_path / "auto.zip").read_bytes() == (tmp_path / "one.zip").read_bytes()


def test_the_first_weights_do_not_depend_on_the_threads_of_the_process():
    weights = []
    for ambient in (1, 4):
        torch.set_num_threads(ambient)
        parts = agents.make("PPO", SOURCE, hidden=(600, 600)).state_dict()["parts"]
        weights.append([np.asarray(tensor) for tensor in parts["policy"].values()])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_saved_and_a_resumed_agent_goes_on_with_it(tmp_path):
    path = tmp_path / "agent.zip"
    agents.make("PPO", SOURCE, threads=3, **SMALL).learn(8).save(path)
    assert checkpoint.read_header(path)["threads"] == 3
    loaded, seen = agents.load(path), Threads()
    loaded.learn(8, seen)
    assert seen.seen == {3}


def rewrite(path, change):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    change(manifest["header"])
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_files_without_the_number_load_as_one_thread(tmp_path, recwarn):
    path = tmp_path / "agent.zip"
    agents.make("PPO", SOURCE, threads=3, **SMALL).save(path)
    rewrite(path, lambda header: header.pop("threads"))
    loaded = agents.load(path)
    assert loaded.threads == 1
    assert loaded.notices == []
    assert not recwarn.list


@pytest.mark.parametrize("value", [0, -1, MAX_THREADS + 1, True, 1.5, "x", [2], {}])
def test_other_values_are_refused(tmp_path, value):
    with pytest.raises(EnvzooError, match=r"^threads is 'auto' or an integer from 1 to 1024, got "):
        agents.make("PPO", SOURCE, threads=value, **SMALL)
    path = tmp_path / "agent.zip"
    agents.make("PPO", SOURCE, **SMALL).save(path)
    rewrite(path, lambda header: header.update(threads=value))
    with pytest.raises(CheckpointError, match=r"agent\.zip is damaged: threads is 'auto' or an integer"):
        agents.load(path)


SOURCES = {"reasoning": "envzoo/TextSumTo-Tokens-v0", "coding_games": "envzoo/CodingGrid-v0", "coverage": SOURCE}
# Planners of bandits and GreedyMarginal train no networks, and agents that need a dataset have the sizes of the others.
TRAINED = [
    name
    for name, s in agents.specs().items()
    if s.family != "bandits" and name != "GreedyMarginal" and s.sources != ("dataset",)
]
OF_THEIR_WORLDS = ("tabular", "preference", "offline")  # families whose agents learn in the world of their example


@pytest.mark.parametrize("name", TRAINED)
def test_agents_with_their_defaults_take_one_thread(name):
    """So results made before there was a choice stay as they are."""
    spec = agents.spec(name)
    continuous = spec.actions == ("continuous",)
    source = SOURCES.get(spec.family, "Pendulum-v1" if continuous else "CartPole-v1")
    env_kwargs = {"receiver": "player"} if name == "IndependentPPO" else {}
    if spec.family in OF_THEIR_WORLDS:
        source, env_kwargs = spec.example.source, dict(spec.example.env_kwargs)
    agent = agents.make(name, source, device="cpu", env_kwargs=env_kwargs)
    assert agent.choose_threads() == 1
