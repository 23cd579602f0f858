"""The transition table, against episodes made by hand."""

import json
import subprocess
import sys

import numpy as np
import pytest

from envzoo.datasets import TransitionTable
from envzoo.errors import DatasetError, EnvzooError, UnsupportedSpaceError


def episode(first, rewards, terminated, truncated=None):
    """Observations first, first + 1, ... in two columns; actions count from 0."""
    steps = len(rewards)
    observations = np.stack([first + np.arange(steps + 1.0), np.full(steps + 1, first)], axis=1)
    terminations, truncations = np.zeros(steps, bool), np.zeros(steps, bool)
    terminations[-1] = terminated
    truncations[-1] = (not terminated) if truncated is None else truncated
    return observations, np.arange(steps), np.array(rewards, float), terminations, truncations


@pytest.fixture
def table():
    episodes = [
        episode(0, [1, 2, 4], terminated=True),
        episode(10, [8, 16], terminated=False),
        episode(20, [32], terminated=False, truncated=False),  # a recording that just stops
    ]
    return TransitionTable.from_episodes(episodes, gamma=0.5)


def test_rows(table):
    assert len(table) == 6
    assert table.num_episodes == 3
    assert table.observations[:, 0].tolist() == [0, 1, 2, 10, 11, 20]
    assert table.next_observations[:, 0].tolist() == [1, 2, 3, 11, 12, 21]  # never the next episode's first
    assert table.actions.tolist() == [0, 1, 2, 0, 1, 0]
    assert table.terminals.tolist() == [False, False, True, False, False, False]
    assert table.timeouts.tolist() == [False, False, False, False, True, True]
    assert table.episode_id.tolist() == [0, 0, 0, 1, 1, 2]
    assert table.step.tolist() == [0, 1, 2, 0, 1, 0]
    assert table.mc_return.tolist() == [1 + 0.5 * (2 + 0.5 * 4), 2 + 0.5 * 4, 4, 8 + 0.5 * 16, 16, 32]
    assert table.episode_starts.tolist() == [0, 3, 5]
    assert table.episode_returns().tolist() == [7, 24, 32]
    assert table.observations.dtype == table.rewards.dtype == table.mc_return.dtype == np.float32
    assert table.actions.dtype == np.int64


def test_a_row_that_is_terminated_and_truncated_is_terminal():
    table = TransitionTable.from_episodes([episode(0, [1, 1], terminated=True, truncated=True)])
    assert table.terminals.tolist() == [False, True]
    assert not table.timeouts.any()


def test_dict_observations():
    flat = episode(0, [1, 2], terminated=True)
    nested = {"a": flat[0], "b": {"c": np.array([7, 8, 9])}}
    table = TransitionTable.from_episodes([(nested, *flat[1:])] * 2)
    assert table.observations["b"]["c"].tolist() == [7, 8, 7, 8]
    assert table.next_observations["b"]["c"].tolist() == [8, 9, 8, 9]
    assert table.observations["a"].shape == (4, 2)
    batch = table.sample_windows(3, 4, np.random.default_rng(0))
    assert batch["observations"]["a"].shape == (3, 4, 2)
    assert table.select_episodes([1]).observations["b"]["c"].tolist() == [7, 8]
    with pytest.raises(UnsupportedSpaceError, match="dict"):
        table.to_d3rlpy()
    with pytest.raises(UnsupportedSpaceError, match="normalised"):
        table.normalise_states()


def test_select_and_top(table):
    two = table.select_episodes(np.array([True, False, True]))
    assert two.observations[:, 0].tolist() == [0, 1, 2, 20]
    assert two.episode_id.tolist() == [0, 0, 0, 1]
    assert table.top_episodes(0.01).observations[:, 0].tolist() == [20]  # at least one
    assert table.top_episodes(0.67).observations[:, 0].tolist() == [10, 11, 20]
    assert len(table.top_episodes(1.0)) == len(table)
    # By the discounted return 1 + ... + 0.5^9 < 2, not by the undiscounted 10.
    late, early = episode(0, [0] * 9 + [10], True), episode(50, [1], True)
    best = TransitionTable.from_episodes([late, early], gamma=0.5).top_episodes(0.5)
    assert best.observations[:, 0].tolist() == [50]
    with pytest.raises(EnvzooError, match=r"\(0, 1\]"):
        table.top_episodes(0)
    with pytest.raises(EnvzooError, match="no episode"):
        table.select_episodes([])


def test_reward_transforms(table):
    shifted = table.shift_rewards(-1)
    assert shifted.rewards.tolist() == [0, 1, 3, 7, 15, 31]
    assert shifted.mc_return.tolist() == [0.5 * (1 + 0.5 * 3), 1 + 0.5 * 3, 3, 7 + 0.5 * 15, 15, 31]
    assert table.rewards.tolist() == [1, 2, 4, 8, 16, 32]
    scaled = table.scale_rewards(1000).episode_returns()
    assert scaled.max() - scaled.min() == pytest.approx(1000, rel=1e-6)
    with pytest.raises(EnvzooError, match="every episode returns 1"):
        TransitionTable.from_episodes([episode(0, [1], True)]).scale_rewards()
    with pytest.raises(EnvzooError, match="keeps the shape"):
        table.map_rewards(lambda rewards: rewards[:2])


def test_normalise_states(table):
    normal, mean, scale = table.normalise_states(eps=0.5)
    rows = table.observations.astype(float)
    assert np.allclose(mean, rows.mean(axis=0), atol=1e-5)
    assert np.allclose(scale, rows.std(axis=0) + 0.5, atol=1e-5)
    assert np.allclose(normal.observations * scale + mean, table.observations, atol=1e-4)
    assert np.allclose(normal.next_observations * scale + mean, table.next_observations, atol=1e-4)


def test_sampling_is_uniform_and_repeatable(table):
    batch = table.sample(6000, np.random.default_rng(0))
    assert np.array_equal(batch["rewards"], table.sample(6000, np.random.default_rng(0))["rewards"])
    counts = np.array([(batch["rewards"] == r).sum() for r in table.rewards])
    assert counts.sum() == 6000
    assert (abs(counts - 1000) < 6 * np.sqrt(1000 * 5 / 6)).all()
    # Fields of a row stay together.
    row = np.searchsorted(table.rewards, batch["rewards"])
    assert np.array_equal(batch["observations"], table.observations[row])
    assert np.array_equal(batch["next_observations"], table.next_observations[row])


def test_weighted_sampling(table):
    weights = np.array([0, 3, 0, 1, 0, 0])
    rewards = table.sample(4000, np.random.default_rng(1), weights)["rewards"]
    assert set(rewards.tolist()) == {2, 8}
    assert abs((rewards == 2).sum() - 3000) < 6 * np.sqrt(750)
    for bad in (np.ones(3), np.zeros(6), -np.ones(6), np.full(6, np.nan)):
        with pytest.raises(EnvzooError, match="weights are 6 finite numbers"):
            table.sample(1, np.random.default_rng(0), bad)


def test_windows(table):
    last_row_of_first = np.array([0, 0, 1, 0, 0, 0])
    window = table.sample_windows(2, 5, np.random.default_rng(0), last_row_of_first)
    assert window["mask"].tolist() == [[False, False, True, True, True]] * 2
    assert window["rewards"].tolist() == [[0, 0, 1, 2, 4]] * 2
    assert window["observations"][0, :, 0].tolist() == [0, 0, 0, 1, 2]
    first_row_of_second = np.array([0, 0, 0, 1, 0, 0])
    window = table.sample_windows(1, 2, np.random.default_rng(0), first_row_of_second)
    assert window["mask"].tolist() == [[False, True]]
    assert window["rewards"].tolist() == [[0, 8]]  # nothing of the first episode
    assert window["step"].tolist() == [[0, 0]]
    with pytest.raises(EnvzooError, match="at least 1 step"):
        table.sample_windows(1, 0, np.random.default_rng(0))


def test_export_to_d4rl_and_d3rlpy(table):
    d4rl = table.to_d4rl()
    assert set(d4rl) == {"observations", "actions", "next_observations", "rewards", "terminals", "timeouts"}
    arrays = table.to_d3rlpy()
    assert arrays["actions"].shape == arrays["rewards"].shape == (6, 1)
    assert not (arrays["terminals"] * arrays["timeouts"]).any()  # d3rlpy asserts this
    assert (arrays["terminals"] + arrays["timeouts"]).tolist() == [0, 0, 1, 0, 1, 1]


def test_export_to_ogbench(table):
    regular = table.to_ogbench()
    assert regular["terminals"].tolist() == [0, 0, 1, 0, 1, 1]  # ends of trajectories
    assert regular["masks"].tolist() == [1, 1, 0, 1, 1, 1]
    compact = table.to_ogbench(compact=True)
    assert compact["observations"][:, 0].tolist() == [0, 1, 2, 3, 10, 11, 12, 20, 21]
    assert compact["terminals"].tolist() == [0, 0, 1, 1, 0, 1, 1, 1, 1]
    assert compact["valids"].tolist() == [1, 1, 1, 0, 1, 1, 0, 1, 0]
    assert compact["rewards"].tolist() == [1, 2, 4, 0, 8, 16, 0, 32, 0]
    assert len({len(rows) for rows in compact.values()}) == 1
    # What OGBench's users do with the compact form gives the regular one back.
    valid = np.flatnonzero(compact["valids"])
    assert np.array_equal(compact["observations"][valid + 1], regular["next_observations"])


def test_bad_episodes():
    with pytest.raises(DatasetError, match="at least one episode"):
        TransitionTable.from_episodes([])
    observations, *rest = episode(0, [1, 2], True)
    with pytest.raises(DatasetError, match="episode 1 have lengths"):
        TransitionTable.from_episodes([(observations, *rest), (observations[:-1], *rest)])
    with pytest.raises(UnsupportedSpaceError, match="list observations"):
        TransitionTable.from_episodes([(["a", "b", "c"], *rest)])
    with pytest.raises(EnvzooError, match="gamma"):
        TransitionTable.from_episodes([(observations, *rest)], gamma=1.5)


def test_importing_is_cheap(tmp_path):
    heavy = ("minari", "torch", "h5py")
    code = f"import sys, json, envzoo.datasets; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_rewards_are_finite():
    for bad in (np.nan, np.inf):
        episode = (np.zeros((3, 1)), np.zeros((2, 1)), np.array([1.0, bad]), np.zeros(2, bool), np.zeros(2, bool))
        with pytest.raises(DatasetError, match="episode 0 has NaN or infinite rewards"):
            TransitionTable.from_episodes([episode])
