"""Count-based intrinsic rewards over training or over an episode (after Tang et al., 2016, arXiv 1611.04717)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from envzoo.agents.loops.intrinsic import Intrinsic

if TYPE_CHECKING:
    from envzoo.agents.loops.on_policy import Rollout

_PRIME, _OFFSET = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
_MULTIPLIER, _S33 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(33)


@dataclass(frozen=True)
class CountSettings:
    """Settings of the count-based rewards."""

    count_coefficient: float = 1.0
    """Numerator c of the reward c / sqrt(N)."""


def hash_rows(rows: np.ndarray, salt: np.ndarray | None = None) -> np.ndarray:
    """Compute 64-bit hashes of the bytes of rows (N, P): uint64 (N,), never 0.

    Rows with different `salt`, uint64 (N,), get different hashes.
    """
    raw = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    return _hash(raw, np.zeros(len(rows), np.uint64) if salt is None else salt)


@njit(cache=True)
def _hash(raw, salt):
    """Compute FNV-1a hashes with a final multiply-xorshift, which spreads similar rows over the table."""
    out = np.empty(len(raw), np.uint64)
    for i in range(len(raw)):
        h = _OFFSET ^ (salt[i] * _MULTIPLIER)
        for k in range(raw.shape[1]):
            h = (h ^ np.uint64(raw[i, k])) * _PRIME
        h ^= h >> _S33
        h *= _MULTIPLIER
        h ^= h >> _S33
        out[i] = h if h != 0 else _PRIME
    return out


@njit(cache=True)
def _count(keys, counts, hashes, out):
    """Increment the count of each hash in order and write the new counts to `out`.

    The table uses linear probing, and key 0 marks a free slot. Returns the number of new keys.
    """
    mask = np.uint64(keys.size - 1)
    fresh = 0
    for i in range(hashes.size):
        slot = hashes[i] & mask
        while keys[slot] != 0 and keys[slot] != hashes[i]:
            slot = (slot + np.uint64(1)) & mask
        if keys[slot] == 0:
            keys[slot] = hashes[i]
            fresh += 1
        counts[slot] += 1
        out[i] = counts[slot]
    return fresh


@njit(cache=True)
def _move(keys, counts, new_keys, new_counts):
    mask = np.uint64(new_keys.size - 1)
    for j in range(keys.size):
        if keys[j] != 0:
            slot = keys[j] & mask
            while new_keys[slot] != 0:
                slot = (slot + np.uint64(1)) & mask
            new_keys[slot], new_counts[slot] = keys[j], counts[j]


class CountTable:
    """Hash table of counts."""

    def __init__(self, capacity: int = 1024):
        self.clear(capacity)

    def clear(self, capacity: int = 1024) -> None:
        """Remove all entries; `capacity` must be a power of two."""
        self.keys, self.counts, self.used = np.zeros(capacity, np.uint64), np.zeros(capacity, np.int64), 0

    def count(self, hashes: np.ndarray) -> np.ndarray:
        """Increment the counts of hashes (N,) in order, and return the new counts, int64 (N,)."""
        while 2 * (self.used + len(hashes)) > len(self.keys):
            keys, counts = np.zeros(2 * len(self.keys), np.uint64), np.zeros(2 * len(self.keys), np.int64)
            _move(self.keys, self.counts, keys, counts)
            self.keys, self.counts = keys, counts
        out = np.empty(len(hashes), np.int64)
        self.used += _count(self.keys, self.counts, hashes, out)
        return out

    def state_dict(self) -> dict[str, Any]:
        """Return the table, its hashes as signed integers."""
        return {"keys": self.keys.view(np.int64), "counts": self.counts, "used": self.used}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a table."""
        self.keys, self.counts = state["keys"].view(np.uint64).copy(), state["counts"].copy()
        self.used = state["used"]


class LifetimeCount(Intrinsic):
    """Reward rarely visited observations: r = c / sqrt(N(o')).

    N(o') is the number of visits of o' during all of training, the current visit included. Observations are not
    discretised: each distinct observation has its own count. Source: Tang et al. (2016, arXiv 1611.04717), with exact
    counts instead of SimHash codes.

    Metrics:
        intrinsic/reward: mean intrinsic reward of the rollout, before `intrinsic_coefficient` is applied.
    """

    name = "count"
    Settings = CountSettings

    def build(self) -> None:
        """Create an empty table."""
        self.table = CountTable()

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Count the transitions in order and return the rewards; see `Intrinsic.intrinsic`."""
        counts = self.table.count(hash_rows(next_observation.cpu().numpy()))
        return torch.from_numpy(self.settings.count_coefficient / np.sqrt(counts)).float().to(self.device)

    def state_dict(self) -> dict[str, Any]:
        """Return the table."""
        return {"table": self.table.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the table."""
        self.table.load_state_dict(state["table"])


class EpisodicCount(Intrinsic):
    """Reward observations rarely visited in the episode: r = c / sqrt(N(o')).

    N(o') is the number of visits of o' since the start of the episode, the current visit included.

    Metrics:
        intrinsic/reward: mean intrinsic reward of the rollout, before `intrinsic_coefficient` is applied.
    """

    name = "episodic_count"
    Settings = CountSettings

    def build(self) -> None:
        """Create the list of tables, one per environment, which is empty at first."""
        self.tables: list[CountTable] = []

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Count one transition per environment and return the rewards; see `Intrinsic.intrinsic`."""
        self._grow(len(next_observation))
        hashes = hash_rows(next_observation.cpu().numpy())
        counts = [table.count(hashes[i : i + 1])[0] for i, table in enumerate(self.tables)]
        return torch.from_numpy(self.settings.count_coefficient / np.sqrt(counts)).float().to(self.device)

    def _grow(self, count: int) -> None:
        self.tables += [CountTable(64) for _ in range(count - len(self.tables))]

    def reward(self, rollout: Rollout) -> Tensor:
        """Compute the rewards of a rollout, with counts reset at each episode start."""
        steps, num_envs = rollout.reward.shape
        self._grow(num_envs)
        found = np.zeros((steps, num_envs), np.float32)
        rows = self.bare(rollout.next_observation).cpu().numpy()
        for b, table in enumerate(self.tables):
            hashes = hash_rows(rows[:, b])
            edges = sorted({0, *np.flatnonzero(rollout.start[:, b]).tolist(), steps})
            for begin, end in pairwise(edges):
                if begin < steps and rollout.start[begin, b]:
                    table.clear(64)
                chosen = begin + np.flatnonzero(rollout.valid[begin:end, b])
                found[chosen, b] = self.settings.count_coefficient / np.sqrt(table.count(hashes[chosen]))
        return torch.from_numpy(found).to(self.device)

    def state_dict(self) -> dict[str, Any]:
        """Return the tables."""
        return {"tables": [table.state_dict() for table in self.tables]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the tables."""
        self.tables = [CountTable(64) for _ in state["tables"]]
        for table, stored in zip(self.tables, state["tables"], strict=True):
            table.load_state_dict(stored)
