"""The replay buffer and the off-policy loop: ring, warm-up, pace of updates, truncation, exact resume."""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from helpers import CountedSteps

import envzoo.agents
from envzoo.agents.callback import Callback
from envzoo.agents.loops.off_policy import OffPolicyAgent, OffPolicyConfig
from envzoo.agents.loops.replay import ReplayBuffer
from envzoo.agents.source import resolve
from envzoo.agents.spec import AgentSpec
from envzoo.errors import EnvzooError


def numbered(first, count, columns=1):
    """Transitions whose every field tells their number."""
    number = np.arange(first, first + count, dtype=np.float32)
    rows = np.repeat(number[:, None], columns, axis=1)
    return rows, rows[:, :1], number, np.zeros(count, bool), rows + 1


def stored(buffer):
    return sorted(buffer.rows(torch.arange(len(buffer))).reward.tolist())


@pytest.mark.parametrize("size", [1, 3, 4, 7, 10, 25])
def test_ring_keeps_the_newest_whatever_the_batch_size(size):
    buffer = ReplayBuffer(10, 1, np.float32, 1)
    for first in range(0, 50, size):
        assert buffer.add(*numbered(first, size)) == min(size, 10)
    end = first + size
    assert stored(buffer) == list(range(end - 10, end))
    batch = buffer.rows(torch.arange(10))
    torch.testing.assert_close(batch.next_observation, batch.observation + 1)
    torch.testing.assert_close(batch.action[:, 0], batch.reward)


def test_memory_grows_with_the_content():
    buffer = ReplayBuffer(1_000_000, 2, np.float32, 1)
    assert len(buffer._arrays.reward) == ReplayBuffer.INITIAL_ROWS
    buffer.add(*numbered(0, 1000, 2))
    buffer.add(*numbered(1000, 1000, 2))
    assert len(buffer._arrays.reward) == 2 * ReplayBuffer.INITIAL_ROWS
    assert stored(buffer) == list(range(2000))


def test_masked_rows_are_left_out_and_dtypes_are_compact():
    buffer = ReplayBuffer(8, 3, np.uint8, None)
    pixels = np.full((4, 3), 255, np.uint8)
    valid = np.array([True, False, True, False])
    action = np.arange(4)
    assert buffer.add(pixels, action, np.arange(4, dtype=np.float32), np.array([1, 1, 0, 0], bool), pixels, valid) == 2
    assert buffer.add(pixels, action, np.zeros(4, np.float32), np.ones(4, bool), pixels, np.zeros(4, bool)) == 0
    batch = buffer.rows(torch.arange(2))
    assert (batch.observation.dtype, batch.action.dtype) == (torch.uint8, torch.int64)
    assert batch.action.tolist() == [0, 2]
    assert batch.terminated.tolist() == [1.0, 0.0]


def test_sampling_is_uniform_and_reproducible():
    buffer = ReplayBuffer(8, 1, np.float32, 1)
    with pytest.raises(EnvzooError, match="the replay buffer is empty"):
        buffer.sample(1)
    buffer.add(*numbered(0, 11))
    draw = buffer.sample(80_000, torch.Generator().manual_seed(1)).reward
    torch.testing.assert_close(draw, buffer.sample(80_000, torch.Generator().manual_seed(1)).reward)
    counts = torch.bincount(draw.long(), minlength=11)
    assert counts[:3].sum() == 0
    assert ((counts[3:] - 10_000).abs() < 500).all()


@pytest.mark.parametrize("filled", [0, 3, 8, 13])
def test_saved_state_is_the_filled_part_and_goes_on_alike(filled):
    buffer, other = (ReplayBuffer(8, 1, np.float32, 1) for _ in range(2))
    if filled:
        buffer.add(*numbered(0, filled))
    state = buffer.state_dict()
    assert all(len(rows) == min(filled, 8) for rows in state["rows"].values())
    other.load_state_dict(state)
    for each in (buffer, other):
        each.add(*numbered(100, 3))
    for a, b in zip(buffer.rows(torch.arange(len(buffer))), other.rows(torch.arange(len(other))), strict=True):
        torch.testing.assert_close(a, b)
    with pytest.raises(EnvzooError, match="cannot hold"):
        ReplayBuffer(2, 1, np.float32, 1).load_state_dict(buffer.state_dict())


class Corridor(CountedSteps):
    """The observation counts the steps of the episode; it ends at `length`, by truncation or by termination."""

    observation_space = gym.spaces.Box(0, np.inf, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length=3, truncate=True):
        self.length, self.truncate = length, truncate

    def step(self, action):
        self.time += 1
        end = self.time == self.length
        observation = np.full(1, self.time, np.float32)
        return observation, 1.0, end and not self.truncate, end and self.truncate, {}


@dataclass(frozen=True)
class CountingConfig(OffPolicyConfig):
    """Config of `Counting`."""


class Counting(OffPolicyAgent):
    """An agent that only notes what the loop does with it."""

    spec = AgentSpec("Counting", "tests:Counting", "standard", "notes what the loop does")
    Config = CountingConfig

    def build(self):
        self.acted = self.random = self.updated = 0

    def act(self, x, generator, deterministic=False):
        self.acted += len(x)
        return torch.zeros(len(x), dtype=torch.int64)

    def random_action(self, count, generator):
        self.random += count
        return generator.integers(0, 2, count)

    def update(self, batch):
        self.updated += 1
        return {"loss/number": torch.tensor(float(self.updated))}


def counting(env, **config):
    settings = {"learning_starts": 10, "batch_size": 4, "steps_per_iteration": 20} | config
    return Counting(resolve(env, Counting.spec), CountingConfig(**settings), device="cpu")


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("truncate", [True, False])
def test_the_end_of_an_episode_is_stored_as_what_it_was(mode, truncate):
    env = SyncVectorEnv([lambda: Corridor(truncate=truncate)] * 2, autoreset_mode=mode)
    agent = counting(env, learning_starts=1000).learn(60)
    batch = agent.buffer.rows(torch.arange(len(agent.buffer)))
    # The true next observation, never that of the next episode; steps that only reset are not stored.
    torch.testing.assert_close(batch.next_observation, batch.observation + 1)
    last = batch.next_observation[:, 0] == 3
    assert sorted(set(batch.observation[:, 0].tolist())) == [0, 1, 2]
    assert torch.equal(batch.terminated, (last & (not truncate)).float())
    assert agent.num_timesteps == len(agent.buffer) >= 60


@pytest.mark.parametrize(
    ("config", "updates"),
    [
        ({}, 30),
        ({"gradient_steps": 3}, 90),
        ({"train_frequency": 5}, 30),
        ({"train_frequency": 5, "gradient_steps": 1}, 6),
    ],
)
def test_pace_of_updates(config, updates):
    agent = counting(Corridor(), **config).learn(40)
    assert (agent.random, agent.acted, agent.updated) == (10, 30, updates)
    assert agent.num_timesteps == 40


def test_one_update_per_environment_step_with_many_environments():
    agent = counting(SyncVectorEnv([Corridor] * 5), learning_starts=10).learn(40)
    assert agent.updated == agent.num_timesteps - agent.random == len(agent.buffer) - agent.random


def test_iterations_end_on_the_budget_and_average_their_updates():
    rows = []

    class Collect(Callback):
        def on_iteration(self, agent, metrics):
            rows.append((agent.num_timesteps, metrics))

    agent = counting(Corridor()).learn(50, callback=Collect())
    assert [steps for steps, _ in rows] == [20, 40, 50]
    assert [metrics["loss/number"] for _, metrics in rows] == [5.5, 20.5, 35.5]
    assert rows[-1][1]["replay/updates"] == agent.updated == 40
    assert rows[0][1]["rollout/return_mean"] == 3.0


@pytest.mark.parametrize(
    ("hyperparameter", "value"), [("batch_size", 0), ("num_envs", 0), ("learning_starts", -1), ("gradient_steps", -1)]
)
def test_bad_config_is_one_sentence(hyperparameter, value):
    with pytest.raises(EnvzooError, match=f"{hyperparameter} is at least"):
        OffPolicyConfig(**{hyperparameter: value})


SMALL = {"hidden": (8, 8), "batch_size": 8, "learning_starts": 20, "steps_per_iteration": 30}


class Record(Callback):
    """All metrics but the wall time."""

    def __init__(self):
        self.rows = []

    def on_iteration(self, agent, metrics):
        self.rows.append({name: value for name, value in metrics.items() if not name.startswith("time/")})


def tensors(tree, path=""):
    """All arrays of a state by path."""
    if isinstance(tree, dict):
        return {k: v for name, child in tree.items() for k, v in tensors(child, f"{path}/{name}").items()}
    return {path: torch.as_tensor(tree)} if isinstance(tree, torch.Tensor | np.ndarray) else {}


@pytest.mark.parametrize(
    ("name", "env", "settings"),
    [
        ("SAC", "envzoo/PointMultiGoal-v0", {}),
        ("SAC", "envzoo/PointMultiGoal-v0", {"num_envs": 4, "train_frequency": 3, "buffer_size": 64}),
        ("SACDiscrete", "envzoo/GridCoverage-v0", {}),
    ],
)
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(name, env, settings, tmp_path):
    whole = envzoo.agents.make(name, env, seed=3, device="cpu", **SMALL, **settings)
    first, second = Record(), Record()
    whole.learn(100, callback=first)
    whole.learn(100, callback=second)
    half = envzoo.agents.make(name, env, seed=3, device="cpu", **SMALL, **settings).learn(100)
    half.save(tmp_path / "half.zip")
    resumed, record = envzoo.agents.load(tmp_path / "half.zip", device="cpu"), Record()
    resumed.learn(100, callback=record)
    assert not resumed.notices
    assert record.rows == second.rows != first.rows
    a, b = tensors(whole.state_dict()), tensors(resumed.state_dict())
    assert a.keys() == b.keys()
    assert all(torch.equal(a[path], b[path]) for path in a)
