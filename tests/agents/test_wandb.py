"""Logging to Weights & Biases, without its servers."""

import importlib.machinery
import importlib.util
import os
import sys
import types

import pytest

from envzoo import agents
from envzoo.agents.callbacks import Checkpoints, WandB
from envzoo.errors import EnvzooError

SMALL = {"device": "cpu", "num_envs": 2, "num_steps": 4, "num_epochs": 1, "hidden": (4,)}


class Run:
    """Run in memory with the methods that the callback calls."""

    def __init__(self, **settings):
        self.settings, self.rows, self.finished = settings, [], False
        self.id = settings["id"] or "abc"

    def log(self, metrics, step):
        self.rows.append((step, metrics))

    def finish(self):
        self.finished = True


@pytest.fixture
def runs(monkeypatch):
    made = []
    module = types.ModuleType("wandb")
    module.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
    module.init = lambda **settings: made.append(Run(**settings)) or made[-1]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return made


def test_every_iteration_is_logged(runs, tmp_path):
    seen = []
    callback = WandB("project", run_name="one", folder=tmp_path, tags=["a"], settings={"gamma": 0.9})
    agent = agents.make("PPO", "CartPole-v1", **SMALL)
    agent.learn(24, [lambda agent, metrics: seen.append((agent.num_timesteps, dict(metrics))), callback])
    [run] = runs
    assert run.rows == seen
    assert len(seen) == 3
    assert run.finished
    assert run.settings == {
        "project": "project",
        "name": "one",
        "dir": str(tmp_path),
        "tags": ("a",),
        "config": {"gamma": 0.9},
        "id": None,
        "resume": None,
    }


def test_a_resumed_agent_continues_its_run(runs, tmp_path):
    callback = WandB("project")
    checkpoints = Checkpoints(tmp_path, 8, others=[callback])
    agents.make("PPO", "CartPole-v1", **SMALL).learn(8, [callback, checkpoints])
    [file] = tmp_path.glob("*.zip")
    agent, callback = agents.load(file, "CartPole-v1", device="cpu"), WandB("project")
    Checkpoints(tmp_path / "more", 8, others=[callback]).restore_others(agent.restored_extra)
    agent.learn(8, callback)
    assert [run.id for run in runs] == ["abc", "abc"]
    assert runs[1].settings["resume"] == "allow"
    assert runs[1].rows[0][0] == 16


def test_the_run_ends_when_learning_fails(runs):
    def fail(agent, metrics):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        agents.make("PPO", "CartPole-v1", **SMALL).learn(8, [WandB("project"), fail])
    assert runs[0].finished


def test_without_the_package_one_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EnvzooError, match=r"pip install -e '.\[wandb\]'"):
        WandB("project")


def test_the_package_itself_writes_a_run_offline(tmp_path, monkeypatch):
    if importlib.util.find_spec("wandb") is None:
        assert "ENVZOO_ALL_EXTRAS" not in os.environ, "the extra `wandb` is not installed"
        pytest.skip("Weights & Biases is in the extra `wandb`")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    agents.make("PPO", "CartPole-v1", **SMALL).learn(16, WandB("project", folder=tmp_path))
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
