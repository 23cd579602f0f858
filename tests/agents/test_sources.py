"""Kinds of sources: functions that make environments, pairs, preferences, and kernel environments of other people."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.registry import specs
from envzoo.agents.source import KINDS, Pairs, Preferences, make_vector_env, resolve
from envzoo.control.entropy_bandit import EntropyBanditEnv, EntropyBanditVectorEnv
from envzoo.datasets.collector import collect
from envzoo.errors import CheckpointError, EnvzooError, UnsupportedSpaceError
from envzoo.kernel import KernelVectorEnv
from envzoo.kernel.recognize import has_kernel

SMALL = {"num_steps": 8, "num_epochs": 1, "hidden": (4,), "device": "cpu"}


def acrobot():
    return gym.make("Acrobot-v1", max_episode_steps=20)


def test_every_kind_that_an_agent_takes_is_in_the_table():
    known = {kind.kind for kind in KINDS}
    assert all(set(spec.sources) <= known for spec in specs().values())


# ------------------------------------------------------------------ functions


def test_a_function_makes_as_many_environments_as_are_asked_for():
    made = []

    def make():
        made.append(acrobot())
        return made[-1]

    agent = agents.make("PPO", make, num_envs=4, **SMALL)
    assert agent.experience.num_envs == 4
    assert len({id(env) for env in made}) == len(made) == 5  # one to read the spaces of
    assert agent.source.id is None


def test_a_function_gives_what_the_id_gives():
    by_function = agents.make("PPO", acrobot, num_envs=3, seed=5, **SMALL).learn(48)
    by_id = agents.make("PPO", "Acrobot-v1", env_kwargs={"max_episode_steps": 20}, num_envs=3, seed=5, **SMALL).learn(
        48
    )
    for mine, theirs in zip(by_function.policy.parameters(), by_id.policy.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    np.testing.assert_array_equal(evaluate(by_function, episodes=5).returns, evaluate(by_id, episodes=5).returns)


def test_an_agent_of_a_function_is_loaded_with_it(tmp_path):
    whole = agents.make("PPO", acrobot, num_envs=2, **SMALL).learn(64)
    agents.make("PPO", acrobot, num_envs=2, **SMALL).learn(64).save(tmp_path / "a.zip")
    with pytest.raises(CheckpointError, match="was trained on an object without an id; give the source"):
        agents.load(tmp_path / "a.zip", device="cpu")
    again = agents.load(tmp_path / "a.zip", acrobot, device="cpu")
    again.learn(32)
    whole.learn(32)
    for mine, theirs in zip(again.policy.parameters(), whole.policy.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_functions_that_make_no_new_environments_are_refused():
    env = acrobot()
    with pytest.raises(EnvzooError, match="returned the same environment twice"):
        agents.make("PPO", lambda: env, num_envs=2, **SMALL)
    with pytest.raises(EnvzooError, match=r"the function int was called for an environment and returned a int"):
        agents.make("PPO", int, **SMALL)
    with pytest.raises(EnvzooError, match="env_kwargs go with an environment id, not with a function object"):
        agents.make("PPO", acrobot, env_kwargs={"max_episode_steps": 3}, **SMALL)


def test_planners_take_functions():
    example = specs()["OracleGreedy"].example

    def make():
        return gym.make(example.source, **example.env_kwargs)

    agent = agents.make("OracleGreedy", make, device="cpu", **example.hyperparameters)
    agent.learn(3)
    assert len(evaluate(agent, episodes=2).returns) == 2


# ------------------------------------------------------------------ data


@pytest.mark.parametrize(
    ("x", "positive", "label", "sentence"),
    [
        (np.ones((3, 2)), np.ones((2, 2)), None, r"x and positive have the shapes \(3, 2\) and \(2, 2\)"),
        (np.ones((3, 2)), np.ones((3, 2), int), None, "expected one data type"),
        (np.ones((0, 2)), np.ones((0, 2)), None, "x is not usable"),
        ([[1.0], [1.0, 2.0]], np.ones((2, 1)), None, "x is not usable"),
        ("ab", "ab", None, "x is not usable"),
        ([[np.nan]], [[1.0]], None, "x holds NaN"),
        ([[1e300]], [[1.0]], None, "beyond the range of single precision"),
        (np.ones((3, 2)), np.ones((3, 2)), [1, 2], "label has 2 rows, expected 3"),
        (np.ones((3, 2)), np.ones((3, 2)), np.ones((3, 1)), "label has the shape"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_pairs_are_checked(x, positive, label, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        Pairs(x, positive, label)


def test_pairs_are_private_copies():
    x = np.zeros((3, 2))
    pairs = Pairs(x, x, [0, 1, 1])
    x[:] = 5
    assert pairs.x.dtype == np.float32
    assert (pairs.x == 0).all()
    assert len(pairs) == 3
    with pytest.raises(ValueError, match="read-only"):
        pairs.positive[0] = 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((["a", "b"], ["c"], ["d", "e"]), "chosen has 1 rows, expected 2, one for each of the prompts"),
        (("ab", ["c", "d"], ["d", "e"]), "prompts is one text"),
        (({"a": 1}, ["c"], ["d"]), "prompts is a dict"),
        ((["a"], ["b"], [[1.0]]), "one of chosen and rejected holds texts"),
        ((["a"], [[1.0, 2.0]], [[1.0]]), "expected equal ones"),
        ((["a"], ["b"], ["c"], [-1.0]), "margin holds numbers that are out of range; expected numbers of at least 0"),
        ((["a"], ["b"], ["c"], None, [1.5]), "label holds numbers that are out of range; expected probabilities"),
        ((["a"], ["b"], ["c"], [[1.0]]), "margin has the shape"),
        ((["a"], ["b"], ["c"], None, [0.5, 0.5]), "label has 2 rows, expected 1"),
        (([], [], []), "prompts is not usable"),
    ],
)
def test_preferences_are_checked(values, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        Preferences(*values)


def test_preferences_resolve_for_learners_that_take_them():
    from dataclasses import replace

    texts = Preferences(["a", "b"], ["c", "d"], ["e", "f"], margin=[0, 1])
    arrays = Preferences(np.zeros((2, 3)), np.ones((2, 4)), np.ones((2, 4)), label=[0.5, 1])
    spec = replace(specs()["PPO"], sources=("preferences",))
    assert resolve(texts, spec).observation_space is None
    found = resolve(arrays, spec)
    assert found.kind == "preferences"
    assert found.given is arrays
    assert found.observation_space.shape == (3,)
    with pytest.raises(UnsupportedSpaceError, match="PPO takes an environment, but 2 preferences are preferences"):
        resolve(texts, specs()["PPO"])


# ------------------------------------------------------------------ kernel environments


class TheirsEnv(EntropyBanditEnv):
    """A kernel environment outside envzoo."""


class TheirsVectorEnv(EntropyBanditVectorEnv):
    """Its vector environment."""


@pytest.fixture
def theirs():
    gym.register("Theirs-v0", TheirsEnv, vector_entry_point=TheirsVectorEnv)
    yield "Theirs-v0"
    del gym.registry["Theirs-v0"]


def test_kernel_environments_are_known_by_their_class(theirs):
    env = make_vector_env(theirs, 3)
    assert isinstance(env, KernelVectorEnv)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert isinstance(make_vector_env("Acrobot-v1", 3), SyncVectorEnv)


def test_episodes_of_their_kernel_environments_are_collected_side_by_side(theirs, monkeypatch):
    made = []
    monkeypatch.setattr(
        TheirsVectorEnv, "reset", lambda self, **k: made.append(self) or super(TheirsVectorEnv, self).reset(**k)
    )

    def predict(observation, state, start, deterministic):
        return np.zeros(len(start), np.int64), state

    buffers = collect(theirs, predict, episodes=4, seed=0)
    assert len(buffers) == 4
    assert len(made) == 1


def test_a_vector_class_that_cannot_be_imported_counts_as_none():
    for entry in ("no_such_module_x:Vector", "envzoo.kernel:NoSuchClass", "nonsense", None):
        assert not has_kernel(gym.envs.registration.EnvSpec("Broken-v0", vector_entry_point=entry))
