"""Checkpoint files that do not fit the agent, its spaces or its environment are refused in one sentence."""

import checkpoint_files
import gymnasium as gym
import numpy as np
import pytest
import torch
from checkpoint_files import one_sentence

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.errors import CheckpointError, EnvzooError

trained = checkpoint_files.trained


def rewritten(trained, path, change):
    """The trained agent's file with `change(header, state)` applied."""
    header, state = checkpoint.read(trained)
    change(header, state)
    checkpoint.save(path, header, state)
    return path


def part(*names):
    def find(state):
        for name in names:
            state = state[name]
        return state

    return find


POLICY = part("parts", "policy")
MOMENTS = part("parts", "optimizer", "state", 0)
EXPERIENCE = part("parts", "experience")
CHANGES = {
    "a-weight-of-another-shape": lambda h, s: POLICY(s).update({"actor_head.weight": torch.zeros(1, 1)}),
    "a-weight-missing": lambda h, s: POLICY(s).pop("actor_head.weight"),
    "a-weight-too-many": lambda h, s: POLICY(s).update(extra=torch.zeros(1)),
    "a-weight-that-is-text": lambda h, s: POLICY(s).update({"actor_head.weight": "text"}),
    "moments-of-another-shape": lambda h, s: MOMENTS(s).update(exp_avg=torch.zeros(3)),
    "moments-without-shape": lambda h, s: MOMENTS(s).update(exp_avg=torch.zeros(())),
    "moments-of-another-dtype": lambda h, s: MOMENTS(s).update(exp_avg_sq=MOMENTS(s)["exp_avg_sq"].double()),
    "moments-that-are-text": lambda h, s: MOMENTS(s).update(exp_avg="text"),
    "a-part-missing": lambda h, s: s["parts"].pop("experience"),
    "parts-that-are-a-list": lambda h, s: s.update(parts=[]),
    "progress-that-is-text": lambda h, s: s["progress"].update(num_timesteps="many"),
    "progress-missing": lambda h, s: s.pop("progress"),
    "observations-of-another-shape": lambda h, s: EXPERIENCE(s).update(observation=np.zeros((2, 99), np.int32)),
    "observations-of-another-dtype": lambda h, s: EXPERIENCE(s).update(observation=np.zeros((2, 2))),
    "an-environment-field-missing": lambda h, s: EXPERIENCE(s)["env"].popitem(),
    "an-environment-field-of-another-shape": lambda h, s: EXPERIENCE(s)["env"].update(
        {name: np.zeros((2, 7, 7, 7)) for name in list(EXPERIENCE(s)["env"])[:1]}
    ),
    "a-generator-that-is-short": lambda h, s: s["parts"]["streams"]["torch"].update(
        actions=torch.zeros(3, dtype=torch.uint8)
    ),
    "a-numpy-generator-out-of-range": lambda h, s: s["parts"]["streams"]["numpy"].update(
        x={"bit_generator": "PCG64", "state": {"state": -1, "inc": 2**200}, "has_uint32": 0, "uinteger": 0}
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_that_does_not_fit_gives_one_sentence(tmp_path, trained, change):
    path = rewritten(trained, tmp_path / "a.zip", CHANGES[change])
    with pytest.raises(CheckpointError) as error:
        agents.load(path)
    assert f"{path} does not fit PPO on envzoo/GridCoverage-v0" in one_sentence(error)


HEADERS = {
    "an-unknown-agent": (lambda h, s: h.update(agent="PPPO"), "holds an agent 'PPPO' that this version"),
    "an-agent-that-is-a-list": (lambda h, s: h.update(agent=[1]), "does not name an agent"),
    "a-config-that-is-a-list": (lambda h, s: h.update(config=[1]), "does not name an agent"),
    "a-seed-missing": (lambda h, s: h.pop("seed"), "its header lacks 'seed'"),
    "a-source-that-is-a-number": (lambda h, s: h.update(source=3), "is no source"),
    "a-hyperparameter-too-many": (lambda h, s: h["config"].update(evil=1), "unknown hyperparameter of PPO 'evil'"),
    "a-hyperparameter-of-another-type": (lambda h, s: h["config"].update(gamma="x"), "gamma of PPO expects float"),
    "another-network": (lambda h, s: h["config"].update(hidden=[5]), "does not fit PPO"),
    "other-keywords": (lambda h, s: h.update(env_kwargs={"rows": 3}), "was trained with the observation space"),
    "an-unknown-environment": (lambda h, s: h.update(source="envzoo/GridCoverag-v0"), "envzoo/GridCoverage-v0"),
    "a-module-to-import": (lambda h, s: h.update(source="antigravity:Env-v0"), "needs a module that is not imported"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_does_not_fit_gives_one_sentence(tmp_path, trained, case):
    change, expected = HEADERS[case]
    path = rewritten(trained, tmp_path / "a.zip", change)
    with pytest.raises(EnvzooError) as error:
        agents.load(path)
    assert expected in one_sentence(error)


def test_another_agent_than_expected(trained):
    with pytest.raises(CheckpointError, match="holds an agent PPO, expected SubPO"):
        agents.load(trained, expect="SubPO")
    assert agents.load(trained, expect="PPO").spec.name == "PPO"


def test_other_spaces_name_both(trained):
    with pytest.raises(CheckpointError) as error:
        agents.load(trained, "CartPole-v1")
    text = one_sentence(error)
    assert "Discrete(100)" in text or "MultiDiscrete" in text
    assert "CartPole-v1 has Box" in text


def test_spaces_whose_text_has_several_lines_are_named_in_one(trained):
    class Long(gym.Env):
        observation_space = gym.spaces.MultiDiscrete([43] * 60)
        action_space = gym.spaces.Discrete(2)

    assert "\n" in str(Long.observation_space)
    with pytest.raises(CheckpointError) as error:
        agents.load(trained, Long())
    assert "has MultiDiscrete([43 43" in one_sentence(error)


def test_an_agent_of_an_environment_object_asks_for_the_source(tmp_path):
    class Tiny(gym.Env):
        observation_space = gym.spaces.Discrete(2)
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return 0, {}

        def step(self, action):
            return 1, 1.0, True, False, {}

    agent = agents.make("PPO", Tiny(), num_steps=4, num_epochs=1)
    agent.learn(4)
    agent.save(tmp_path / "a.zip")
    with pytest.raises(CheckpointError, match="was trained on an object without an id; give the source"):
        agents.load(tmp_path / "a.zip")
    assert agents.load(tmp_path / "a.zip", Tiny()).num_timesteps == 4


def test_keywords_of_the_environment_come_back(tmp_path):
    agent = agents.make("Random", "envzoo/GridCoverage-v0", env_kwargs={"rows": 3})
    agent.save(tmp_path / "a.zip")
    for source in (None, "envzoo/GridCoverage-v0"):
        assert agents.load(tmp_path / "a.zip", source).source.env_kwargs == {"rows": 3}


def test_keywords_that_no_file_can_hold(tmp_path):
    env = gym.make("FrozenLake-v1", desc=np.array([list("SF"), list("FG")]))
    agent = agents.make("Random", env)
    agent.save(tmp_path / "a.zip")
    with pytest.raises(CheckpointError, match="give the source"):
        agents.load(tmp_path / "a.zip")
    assert agents.load(tmp_path / "a.zip", env).source.given is env
