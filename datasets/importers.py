"""Transition tables from the arrays of other packages: D4RL, OGBench and d3rlpy.

Data without the last observation of an episode loses the last transition of each episode that was cut off, because its
value would have to be bootstrapped from an observation that is not there; after a termination none is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from envzoo.datasets.table import TransitionTable
from envzoo.errors import DatasetError


def _columns(data: Mapping[str, Any], package: str, names: tuple[str, ...]) -> list[np.ndarray]:
    """Return the named arrays, checked to have one length.

    Raises:
        DatasetError: One is missing, lengths differ, or rewards are not finite.
    """
    if not isinstance(data, Mapping):
        raise DatasetError(f"data of {package} is a dict of arrays, got a {type(data).__name__}")
    missing = [name for name in names if name not in data]
    if missing:
        raise DatasetError(f"the data of {package} has no {missing[0]!r}; expected {', '.join(names)}")
    arrays = [np.asarray(data[name]) for name in names]
    lengths = {len(array) if array.ndim else 0 for array in arrays}
    if len(lengths) != 1 or 0 in lengths:
        raise DatasetError(f"the arrays of {package} have the lengths {sorted(lengths)}; expected one, above 0")
    for name, array in zip(names, arrays, strict=True):
        if array.dtype.kind not in "fiub" or (array.dtype.kind == "f" and not np.isfinite(array).all()):
            raise DatasetError(f"{name} of {package} holds something else than finite numbers")
    return arrays


def _table(
    observations: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    following: np.ndarray,
    terminals: np.ndarray,
    ends: np.ndarray,
    keep: np.ndarray,
    gamma: float,
) -> TransitionTable:
    """Build a table from rows in order; `ends` marks the last row of each episode, `keep` the rows to take."""
    ends = ends.copy()
    ends[-1] = True
    parts = []
    for numbers in np.split(np.arange(len(ends)), np.flatnonzero(ends)[:-1] + 1):
        rows = numbers[keep[numbers]]
        if not rows.size:
            continue
        whole = np.concatenate([observations[rows], following[rows[-1:]]])
        parts.append((whole, actions[rows], rewards[rows], terminals[rows], ends[rows] & ~terminals[rows]))
    if not parts:
        raise DatasetError("the data holds no complete transition")
    return TransitionTable.from_episodes(parts, gamma)


def from_d4rl(data: Mapping[str, Any], gamma: float = 0.99) -> TransitionTable:
    """Build a table from the arrays of a D4RL dataset: observations, actions, rewards, terminals and timeouts.

    Args:
        data: The arrays; with `next_observations` (as from `qlearning_dataset` or `TransitionTable.to_d4rl`) no
            transition is lost.
        gamma: Discount factor of `mc_return`.

    Raises:
        DatasetError: Arrays that are missing, of different lengths or not finite.
    """
    names = ("observations", "actions", "rewards", "terminals", "timeouts")
    observations, actions, rewards, terminals, timeouts = _columns(data, "D4RL", names)
    terminals, timeouts = terminals.astype(bool), timeouts.astype(bool)
    if "next_observations" in data:
        (following,) = _columns(data, "D4RL", ("next_observations",))
        return _table(
            observations,
            actions,
            rewards,
            following,
            terminals,
            terminals | timeouts,
            np.ones(len(rewards), bool),
            gamma,
        )
    return _without_last(observations, actions, rewards, terminals, timeouts, gamma)


def _without_last(
    observations: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    terminals: np.ndarray,
    timeouts: np.ndarray,
    gamma: float,
) -> TransitionTable:
    """Build a table from rows without next observations."""
    ends = terminals | timeouts
    ends[-1] = True
    following = np.concatenate([observations[1:], observations[-1:]])
    following[ends] = observations[ends]  # not used: there is no bootstrapping after a termination
    return _table(observations, actions, rewards, following, terminals, ends, ~ends | terminals, gamma)


def from_d3rlpy(data: Mapping[str, Any], gamma: float = 0.99) -> TransitionTable:
    """Build a table from the arrays of d3rlpy's `MDPDataset`; rewards and Discrete actions may be (N, 1).

    Raises:
        DatasetError: Arrays that are missing, of different lengths or not finite.
    """
    names = ("observations", "actions", "rewards", "terminals", "timeouts")
    observations, actions, rewards, terminals, timeouts = _columns(data, "d3rlpy", names)
    if actions.dtype.kind in "iu" and actions.ndim == 2 and actions.shape[1] == 1:
        actions = actions[:, 0]
    flags = terminals.reshape(-1).astype(bool), timeouts.reshape(-1).astype(bool)
    return _without_last(observations, actions, rewards.reshape(-1), *flags, gamma)


def from_ogbench(data: Mapping[str, Any], gamma: float = 0.99) -> TransitionTable:
    """Build a table from the arrays of an OGBench dataset: compact (with `valids`) or not, or as in its files.

    `terminals` there mark the ends of trajectories, in its files the row of the last observation alone; terminations
    are where `masks` is 0. Without `rewards`, as in its goal-conditioned data, rewards are 0.

    Raises:
        DatasetError: Arrays that are missing, of different lengths or not finite.
    """
    if isinstance(data, Mapping) and "terminals" in data and not {"valids", "next_observations"} & set(data):
        data = {**data, "valids": 1 - np.asarray(data["terminals"], np.float32)}
    compact = isinstance(data, Mapping) and "valids" in data
    names = ("observations", "actions", "terminals", "valids" if compact else "next_observations")
    observations, actions, ends, last = _columns(data, "OGBench", names)
    optional = {name: np.asarray(data[name], np.float64) for name in ("rewards", "masks") if name in data}
    if any(len(array) != len(actions) for array in optional.values()):
        raise DatasetError("rewards and masks of OGBench have another length than its actions")
    rewards = optional.get("rewards", np.zeros(len(actions)))
    terminated = optional.get("masks", np.ones(len(actions))) == 0
    if not compact:
        return _table(
            observations, actions, rewards, last, terminated, ends.astype(bool), np.ones(len(actions), bool), gamma
        )
    keep = last.astype(bool)  # the other rows hold the last observation of a trajectory
    following = np.concatenate([observations[1:], observations[-1:]])
    return _table(observations, actions, rewards, following, terminated & keep, ~keep, keep, gamma)
