"""Exports of a transition table in the forms of other packages."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from envzoo.datasets.episodes import Arrays, map_arrays
from envzoo.errors import UnsupportedSpaceError
from envzoo.files import write_bytes


class Exports:
    """Mixin of `TransitionTable` with its exports."""

    observations: Arrays
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: Arrays
    terminals: np.ndarray
    timeouts: np.ndarray
    episode_starts: np.ndarray

    def __len__(self) -> int:
        raise NotImplementedError

    def to_d4rl(self) -> dict[str, Any]:
        """Export the keys of D4RL's `qlearning_dataset`, and `timeouts`; next observations are true at episode ends."""
        names = ("observations", "actions", "next_observations", "rewards", "terminals", "timeouts")
        return {name: getattr(self, name) for name in names}

    def to_ogbench(self, compact: bool = False) -> dict[str, Any]:
        """Export the keys of OGBench, whose `terminals` mark the ends of trajectories, as float32.

        Args:
            compact: Instead of `next_observations`, store each trajectory's last observation as a separate row with a
                zero action and reward, `valids` 0, and `terminals` 1 on it and on the row before it.

        Returns:
            observations, actions, terminals, and next_observations or valids; also rewards and masks (0 at
            terminations, where there is no bootstrapping), as in its single-task data.
        """
        last = np.append(self.episode_starts[1:], len(self)) - 1
        ends = np.zeros(len(self), np.float32)
        ends[last] = 1
        masks = 1 - self.terminals.astype(np.float32)
        if not compact:
            return {
                "observations": self.observations,
                "actions": self.actions,
                "next_observations": self.next_observations,
                "terminals": ends,
                "rewards": self.rewards,
                "masks": masks,
            }

        def insert(rows: np.ndarray, values: Any) -> np.ndarray:
            return np.insert(rows, last + 1, values, axis=0)

        return {
            "observations": map_arrays(lambda a, b: insert(a, b[last]), self.observations, self.next_observations),
            "actions": insert(self.actions, 0),
            "terminals": insert(ends, 1),
            "valids": insert(np.ones(len(self), np.float32), 0),
            "rewards": insert(self.rewards, 0),
            "masks": insert(masks, masks[last]),
        }

    def save_ogbench(self, path: str | os.PathLike) -> None:
        """Write the `.npz` file that `ogbench.utils.load_dataset` reads.

        It has a row for the last observation of each trajectory, the only row with `terminals` 1; rewards and masks are
        kept beside what OGBench reads, so that `from_ogbench(numpy.load(path))` restores the table.

        Args:
            path: The file, by custom ending in ".npz"; an existing one is replaced.

        Raises:
            UnsupportedSpaceError: Observations are a dict.
            StorageError: The file cannot be written.
        """
        if isinstance(self.observations, dict):
            raise UnsupportedSpaceError("a file of OGBench has array observations, but those of this table are a dict")
        rows = self.to_ogbench(compact=True)
        rows["terminals"] = 1 - rows.pop("valids")
        buffer = io.BytesIO()
        np.savez(buffer, **rows)
        write_bytes(Path(path), buffer.getvalue())

    def to_d3rlpy(self) -> dict[str, Any]:
        """Export keyword arguments for `d3rlpy.dataset.MDPDataset`, which drops the last observation of each episode.

        Rewards and Discrete actions are (N, 1); terminals and timeouts are float32 and never both 1 in a row.

        Raises:
            UnsupportedSpaceError: Observations are a dict.
        """
        if isinstance(self.observations, dict):
            raise UnsupportedSpaceError("d3rlpy takes array observations, but those of this table are a dict")
        return {
            "observations": self.observations,
            "actions": self.actions.reshape(len(self), -1),
            "rewards": self.rewards[:, None],
            "terminals": self.terminals.astype(np.float32),
            "timeouts": self.timeouts.astype(np.float32),
        }
