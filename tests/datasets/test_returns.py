"""Multi-step returns, by hand and against the definition; the public collector."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envzoo import agents
from envzoo.datasets import TransitionTable, collect, n_step_returns
from envzoo.errors import EnvzooError


def make(lengths, terminated, seed=0, gamma=0.5):
    generator = np.random.default_rng(seed)
    episodes = []
    for length, ends in zip(lengths, terminated, strict=True):
        flags = np.zeros(length, bool)
        flags[-1] = ends
        observations = generator.normal(size=(length + 1, 2))
        episodes.append(
            (observations, np.zeros((length, 1)), np.arange(1.0, length + 1), flags, np.zeros(length, bool))
        )
    return TransitionTable.from_episodes(episodes, gamma)


def test_by_hand():
    table = make([3, 2], [True, False])
    found = n_step_returns(table, 2)
    # Rewards 1 2 3 | 1 2 with gamma 1/2: 1 + 1, 2 + 1.5, 3 | 1 + 1, 2.
    assert found.rewards.tolist() == [2.0, 3.5, 3.0, 2.0, 2.0]
    assert found.last.tolist() == [1, 2, 2, 4, 4]
    assert found.discounts.tolist() == [0.25, 0.0, 0.0, 0.25, 0.5]


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=5), st.integers(1, 8))
def test_against_the_definition(episodes, n):
    lengths, ends = zip(*episodes, strict=True)
    table = make(lengths, ends, gamma=0.9)
    found = n_step_returns(table, n)
    for i in range(len(table)):
        total, discount, row = 0.0, 1.0, i
        for _ in range(n):
            total += discount * table.rewards[row]
            discount *= 0.9
            if row + 1 == len(table) or table.episode_id[row + 1] != table.episode_id[i]:
                break
            row += 1
        last = found.last[i]
        assert found.rewards[i] == pytest.approx(total)
        assert found.discounts[i] == pytest.approx(0.0 if table.terminals[last] else 0.9 ** (last - i + 1))


def test_long_returns_are_those_of_monte_carlo():
    table = make([4, 3, 1], [True, True, False], gamma=0.9)
    assert n_step_returns(table, 10).rewards == pytest.approx(table.mc_return, rel=1e-6)


@pytest.mark.parametrize("n", [0, 1.5, True, None])
def test_refuses_numbers_of_steps(n):
    with pytest.raises(EnvzooError, match="expected a whole number of at least 1"):
        n_step_returns(make([2], [True]), n)


def test_refuses_discounts():
    with pytest.raises(EnvzooError, match="gamma is 2"):
        n_step_returns(make([2], [True]), 1, gamma=2)


def test_collect_plays_agents_and_functions():
    agent = agents.make("Random", "envzoo/LineWorld-v0", seed=0)
    buffers = collect(agent, "envzoo/LineWorld-v0", 3, seed=5)
    assert [buffer.seed for buffer in buffers] == [5, 6, 7]
    assert all(len(buffer.observations) == len(buffer.rewards) + 1 for buffer in buffers)

    def right(observation, state, start, deterministic):
        return np.ones((len(observation), 1), np.float32), state

    buffers = collect(right, "envzoo/LineWorld-v0", 2, env_kwargs={"noise": 0.0})
    assert all(buffer.terminations[-1] for buffer in buffers)
    with pytest.raises(EnvzooError, match="predict is a str"):
        collect("PPO", "envzoo/LineWorld-v0", 2)
