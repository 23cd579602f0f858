"""Fitted Q evaluation with networks, on worlds whose values are known."""

import numpy as np
import pytest

from envzoo import agents
from envzoo.agents.offline import ope
from envzoo.agents.offline.ope import fitted_q_evaluation
from envzoo.datasets import load_minari
from envzoo.datasets.collector import collect, write
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.scripts.evaluate import command

KWARGS = {"rewards": (0.0, 0.5, 1.0)}
SMALL = {"hidden": (32,), "learning_rate": 1e-2, "batch_size": 64, "tau": 0.1}


@pytest.fixture(scope="module", autouse=True)
def bandit(root):
    def behaviour(observation, state, start, deterministic):
        return np.arange(len(observation)) % 3, state

    facts = {"description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0}
    buffers = collect("envzoo/EntropyBandit-v0", behaviour, episodes=60, seed=0, env_kwargs=KWARGS)
    write("test/all-v0", buffers, env_id="envzoo/EntropyBandit-v0", env_kwargs=KWARGS, **facts)
    one = [buffer for buffer in buffers if buffer.actions[0] == 1]
    write("test/one-v0", one, env_id="envzoo/EntropyBandit-v0", env_kwargs=KWARGS, **facts)


def test_the_value_of_a_cloned_arm():
    agent = agents.make("BC", "test/one-v0", device="cpu", hidden=(8,), learning_rate=1e-2).learn(100)
    assert agent.predict(0)[0] == 1
    values = fitted_q_evaluation(agent, load_minari("test/all-v0"), steps=300, **SMALL)
    assert values.shape == (60,)
    assert values.tolist() == pytest.approx([0.5] * 60, abs=0.05)
    again = fitted_q_evaluation(agent, load_minari("test/all-v0"), steps=300, **SMALL)
    assert np.array_equal(values, again)


def test_refusals():
    agent = agents.make("BC", "test/one-v0", device="cpu", hidden=(8,))
    with pytest.raises(EnvzooError, match="steps is 0"):
        fitted_q_evaluation(agent, load_minari("test/all-v0"), steps=0)
    with pytest.raises(UnsupportedSpaceError, match=r"has the observation space Discrete\(1\), but the dataset"):
        fitted_q_evaluation(agent, load_minari("envzoo/line-world/striped-v0"))
    ask = agent.predict
    agent.predict = lambda *a, **k: (ask(*a, **k)[0], "memory")
    with pytest.raises(EnvzooError, match="acts with a memory"):
        fitted_q_evaluation(agent, load_minari("test/all-v0"))


def test_the_command_line(tmp_path, capsys, monkeypatch):
    agent = agents.make("BC", "test/one-v0", device="cpu", hidden=(8,))
    agent.save(tmp_path / "agent.zip")
    seen = {}

    def estimate(agent, dataset, **keywords):
        seen.update(keywords, name=dataset.id)
        return np.array([1.0, 2.0])

    monkeypatch.setattr(ope, "fitted_q_evaluation", estimate)
    assert command([str(tmp_path / "agent.zip"), "--offline", "test/all-v0"]) == 0
    assert "BC on test/all-v0: estimated discounted return 1.500" in capsys.readouterr().out
    assert seen == {"gamma": 0.99, "seed": 0, "name": "test/all-v0"}
    with pytest.raises(EnvzooError, match="--offline plays no episodes"):
        command([str(tmp_path / "agent.zip"), "--offline", "test/all-v0", "--env", "CartPole-v1"])
    # Played in its own environment, an agent of a dataset also gets a normalised score.
    assert command([str(tmp_path / "agent.zip"), "--episodes", "5"]) == 0
    assert "normalised score" in capsys.readouterr().out
