"""The conformance checker: environments with one fault each are flagged by name, faultless ones pass."""

import random

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

from envzoo.conformance import check
from envzoo.conformance.report import equal, row
from envzoo.errors import EnvzooError
from envzoo.registration import specs
from envzoo.scripts.cli import main

pytestmark = pytest.mark.any_arithmetic

OTHERS = ("CartPole-v1", "FrozenLake-v1", "Pendulum-v1", "Blackjack-v1", "CliffWalking-v1")


class Walk(gym.Env):
    """Faultless: a random walk on -5..5 that ends at either end, with a state that can be saved."""

    observation_space = gym.spaces.Box(-5, 5, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    metadata = {"render_modes": []}  # noqa: RUF012
    render_mode = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = int(self.np_random.integers(-1, 2))
        self.steps = 0
        return self.observe(), {}

    def observe(self):
        return np.array([self.cell], np.float32)

    def noise(self):
        return int(self.np_random.integers(2))

    def step(self, action):
        self.steps += 1
        self.cell += 1 if action == self.noise() else -1
        return self.observe(), float(self.cell), abs(self.cell) == 5, False, {}

    def get_state(self):
        return {"cell": self.cell, "steps": self.steps, "random": self.np_random.bit_generator.state}

    def set_state(self, state):
        self.cell, self.steps = state["cell"], state["steps"]
        self.np_random.bit_generator.state = state["random"]


class Outside(Walk):
    def observe(self):
        return np.array([2 * self.cell], np.float32)


class WrongDtype(Walk):
    def observe(self):
        return np.array([self.cell], np.float64)


class NotFinite(Walk):
    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, float("nan"), *rest


class NoBool(Walk):
    def step(self, action):
        observation, reward, terminated, *rest = super().step(action)
        return observation, reward, int(terminated), *rest


class Unseeded(Walk):
    def noise(self):
        return int(np.random.default_rng().integers(2))


class GlobalRandom(Walk):
    def noise(self):
        return int(np.random.randint(2))  # noqa: NPY002


class OneArray(Walk):
    def observe(self):
        if not hasattr(self, "array"):
            self.array = np.zeros(1, np.float32)
        self.array[0] = self.cell
        return self.array


class TerminatesInTime(Walk):
    def step(self, action):
        observation, reward, terminated, *rest = super().step(action)
        return observation, reward, terminated or self.steps == 6, *rest


class HalfAState(Walk):
    def get_state(self):
        return {"cell": self.cell, "steps": self.steps}

    def set_state(self, state):
        self.cell, self.steps = state["cell"], state["steps"]


class BadMask(Walk):
    def reset(self, *, seed=None, options=None):
        observation, _ = super().reset(seed=seed)
        return observation, {"action_mask": np.ones(3, np.int8)}

    def step(self, action):
        *rest, _ = super().step(action)
        return *rest, {"action_mask": np.ones(3, np.int8)}


class Batch(VectorEnv):
    """Faultless vector form of Walk: copies that are reset as the mode says, all arrays new."""

    def __init__(self, num_envs=1, autoreset_mode=AutoresetMode.NEXT_STEP, max_episode_steps=None):
        self.inner = SyncVectorEnv([Walk] * num_envs, autoreset_mode=autoreset_mode)
        self.num_envs, self.metadata = num_envs, {"autoreset_mode": autoreset_mode}
        self.single_observation_space, self.single_action_space = Walk.observation_space, Walk.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed=None, options=None):
        return self.inner.reset(seed=seed, options=options)

    def step(self, actions):
        return self.inner.step(actions)


class FirstIsFinal(Batch):
    def step(self, actions):
        observations, rewards, terminated, truncated, infos = self.inner.step(actions)
        if "final_obs" in infos:
            for i in np.flatnonzero(infos["_final_obs"]):
                infos["final_obs"][i] = observations[i].copy()
        return observations, rewards, terminated, truncated, infos


class SharedStream(Batch):
    """The noise of every row is drawn from one stream, and a row draws only when its action is 1."""

    def reset(self, *, seed=None, options=None):
        self.stream = np.random.default_rng(seed)
        return self.inner.reset(seed=seed, options=options)

    def step(self, actions):
        drawn = [int(self.stream.integers(2)) if a else 0 for a in actions[::-1]][::-1]
        return self.inner.step(np.array(drawn))


class WrongMode(Batch):
    def __init__(self, num_envs=1, autoreset_mode=AutoresetMode.NEXT_STEP, max_episode_steps=None):
        super().__init__(num_envs, AutoresetMode.NEXT_STEP)


class ReusedArrays(Batch):
    def step(self, actions):
        observations, *rest = self.inner.step(actions)
        if not hasattr(self, "array"):
            self.array = observations
        self.array[...] = observations
        return self.array, *rest


class WrongSpace(Batch):
    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.observation_space = self.single_observation_space


SINGLE = {
    Outside: "single/spaces",
    WrongDtype: "single/spaces",
    NotFinite: "single/spaces",
    NoBool: "single/spaces",
    Unseeded: "single/seeding",
    GlobalRandom: "single/global_state",
    OneArray: "single/fresh_observations",
    TerminatesInTime: "single/time_limit",
    HalfAState: "single/state",
    BadMask: "single/action_masks",
}
VECTOR = {
    FirstIsFinal: "vector/final_observations",
    SharedStream: "vector/batch_independence",
    WrongMode: "vector/autoreset_mode",
    ReusedArrays: "vector/fresh_results",
    WrongSpace: "vector/spaces",
}


@pytest.fixture
def register():
    made = []

    def add(entry, vector=None, limit=None):
        name = f"envzoo-tests/Conformance{len(made)}-v0"
        gym.register(name, entry, vector_entry_point=vector, max_episode_steps=limit)
        made.append(name)
        return name

    yield add
    for name in made:
        del gym.registry[name]


@pytest.mark.parametrize("fault", SINGLE, ids=lambda cls: cls.__name__)
def test_a_fault_of_a_single_environment_is_named(fault, register):
    report = check(register(fault, limit=6 if fault is TerminatesInTime else None))
    assert SINGLE[fault] in report.failed()
    assert not report.passed
    # Gymnasium's checker may notice the fault too; draws outside the seeded stream show in every repetition.
    repeats = {"single/seeding", "single/global_state", "single/state"} if fault in (Unseeded, GlobalRandom) else set()
    assert set(report.failed()) <= {SINGLE[fault], "single/gymnasium_checker", *repeats}


@pytest.mark.parametrize("fault", VECTOR, ids=lambda cls: cls.__name__)
def test_a_fault_of_a_vector_environment_is_named(fault, register):
    report = check(register(Walk, vector=fault), vector_form=True)
    assert VECTOR[fault] in report.failed()
    allowed = {VECTOR[fault]} | (
        {"vector/final_observations", "vector/autoreset_mode"} if fault is WrongMode else set()
    )
    assert set(report.failed()) <= allowed


def test_the_faultless_forms_pass(register):
    for report in (
        check(register(Walk, limit=8), vector_form=True),
        check(register(Walk, vector=Batch), vector_form=True),
    ):
        assert report.passed, report
        assert not {f.name for f in report.findings if f.skipped} - {"single/action_masks", *LIMITS}


LIMITS = ("single/time_limit", "vector/time_limit")


@pytest.mark.parametrize("env_id", OTHERS)
def test_environments_of_gymnasium_pass(env_id):
    report = check(env_id, vector_form=True, steps=60)
    assert report.passed, report


def test_an_environment_of_minigrid_passes():
    pytest.importorskip("minigrid")
    report = check("minigrid:MiniGrid-Empty-5x5-v0", vector_form=True, steps=30)
    assert report.passed, report


@pytest.mark.parametrize("env_id", [spec.id for spec in specs() if spec.vector_entry_point and not spec.extra])
def test_our_kernel_environments_pass(env_id):
    report = check(env_id, vector_form=True, steps=12)
    assert report.passed, report


def test_the_command_prints_a_report(register, capsys):
    assert main(["check", "CartPole-v1", "--vector", "--steps", "40"]) == 0
    text = capsys.readouterr().out
    assert "CartPole-v1: passed" in text
    assert "ok    vector/batch_independence: the first episode of row 0" in text
    assert "steps per second" in text
    assert main(["check", register(NotFinite)]) == 1
    assert "- a reward is nan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "takes the id of one environment"),
        (["CartPol-v1"], "CartPol-v1 cannot be made (NameNotFound"),
        (["CartPole-v1", "--steps", "5"], "--steps must be at least 10, got 5"),
        (["CartPole-v1", "--env-kwargs", "evil=1"], "cannot be made (TypeError"),
    ],
)
def test_bad_input(arguments, sentence, capsys):
    assert main(["check", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_an_environment_that_raises_is_a_finding(register):
    class Raises(Walk):
        def step(self, action):
            raise RuntimeError("out of\norder")

    report = check(register(Raises))
    assert "single/spaces" in report.failed()
    assert "RuntimeError: out of order" in str(report)


def test_the_global_generators_are_as_before(register):
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    check(register(Walk))  # which does not use them
    after = random.getstate(), np.random.get_state()  # noqa: NPY002
    assert before[0] == after[0]
    assert equal(before[1], after[1])


def test_unknown_environments_raise():
    with pytest.raises(EnvzooError, match="cannot be made"):
        check("envzoo/Nothing-v0")


def test_comparisons():
    assert equal({"a": np.arange(3), "b": (1, "x")}, {"a": np.arange(3), "b": (1, "x")})
    assert equal(np.array([np.nan]), np.array([np.nan]))
    assert not equal(np.arange(3), np.arange(4))
    assert not equal({"a": 1}, {"b": 1})
    batched = {"a": np.arange(6).reshape(3, 2), "b": (np.arange(3), np.ones((3, 2)))}
    assert equal(row(batched, 1), {"a": np.array([2, 3]), "b": (1, np.ones(2))})
