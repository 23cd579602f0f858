"""Importers undo the exporters; what they must drop, they drop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envzoo.datasets.importers import from_d3rlpy, from_d4rl, from_ogbench
from envzoo.datasets.table import FIELDS, TransitionTable
from envzoo.errors import DatasetError

episodes = st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=5)


def make(shape, discrete=False, seed=0):
    generator, parts = np.random.default_rng(seed), []
    for length, ends in shape:
        flags = np.zeros(length, bool)
        flags[-1] = ends
        actions = generator.integers(3, size=length) if discrete else generator.normal(size=(length, 2))
        rewards = generator.normal(size=length).astype(np.float32)  # as they are stored, so that returns are equal
        cut = np.zeros(length, bool)
        parts.append((generator.normal(size=(length + 1, 3)), actions, rewards, flags, cut))
    return TransitionTable.from_episodes(parts, 0.9)


def equal(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in (*FIELDS, "observations", "next_observations")
    )


@given(episodes, st.booleans())
def test_tables_survive_d4rl_and_ogbench(shape, discrete):
    table = make(shape, discrete)
    assert equal(from_d4rl(table.to_d4rl(), 0.9), table)
    assert equal(from_ogbench(table.to_ogbench(), 0.9), table)
    assert equal(from_ogbench(table.to_ogbench(compact=True), 0.9), table)


@given(episodes, st.booleans())
def test_d3rlpy_loses_only_the_last_step_of_what_was_cut_off(shape, discrete):
    table = make(shape, discrete)
    kept = ~table.timeouts
    if not kept.any():
        with pytest.raises(DatasetError, match="no complete transition"):
            from_d3rlpy(table.to_d3rlpy(), 0.9)
        return
    found = from_d3rlpy(table.to_d3rlpy(), 0.9)
    for name in ("observations", "actions", "rewards", "terminals"):
        assert np.array_equal(getattr(found, name), getattr(table, name)[kept]), name
    inner = ~found.terminals
    assert np.array_equal(found.next_observations[inner], table.next_observations[kept][inner])
    raw = {name: value for name, value in table.to_d4rl().items() if name != "next_observations"}
    assert equal(from_d4rl(raw, 0.9), found)


def test_refusals():
    good = make([(3, True)]).to_d4rl()
    with pytest.raises(DatasetError, match="has no 'timeouts'"):
        from_d4rl({name: value for name, value in good.items() if name != "timeouts"})
    with pytest.raises(DatasetError, match="rewards of D4RL holds something else than finite numbers"):
        from_d4rl(good | {"rewards": np.array([1.0, np.nan, 0.0])})
    with pytest.raises(DatasetError, match=r"have the lengths \[2, 3\]"):
        from_d4rl(good | {"rewards": np.ones(2)})
    with pytest.raises(DatasetError, match="a dict of arrays, got a list"):
        from_ogbench([])
