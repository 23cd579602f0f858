"""Replay of sequences for agents whose encoders have a memory (Kapturowski et al., 2019, R2D2)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.loops.replay import Batch
from envzoo.agents.networks.seen import Recalled
from envzoo.errors import EnvzooError
from envzoo.sizes import check_bytes


class SequenceReplay:
    """Ring of the last steps of each environment, sampled as sequences that begin with a stored memory.

    A row is an observation and the step that followed it. The observation that a step led to is that of the next row of
    its environment, so every observation is kept once. Where an episode is truncated and the environment resets itself
    within the step, its last observation gets a row of its own, in which nothing was done; it is never learned from.

    Every `length`-th row, the memories of the encoders are stored. A sequence begins at such a row: `burn_in` rows
    bring the memories up to date, and the next `length` are learned from. Sequences run across the ends of episodes,
    where the memories are reset.

    Args:
        capacity: Number of rows of all environments together, rounded up to whole sequences.
        num_envs: B.
        columns: P, width of a packed observation, with its action mask if there is one.
        dtype: Data type of packed observations.
        action_dim: D, or None for discrete actions.
        state_dim: S, numbers of memory per environment.
        length: Rows of a sequence to learn from.
        burn_in: Rows before them.
        device: Device of the arrays.

    Raises:
        EnvzooError: The capacity is below one sequence per environment, or too large.
    """

    INITIAL_ROWS = 256
    COLUMNS = ("observation", "action", "reward", "terminated", "start", "valid")

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        columns: int,
        dtype: np.dtype,
        action_dim: int | None,
        state_dim: int,
        *,
        length: int,
        burn_in: int,
        device: torch.device | str = "cpu",
    ):
        self.length, self.burn_in, self.num_envs, self.device = length, burn_in, num_envs, torch.device(device)
        self.span = burn_in + length + 1  # the last row gives the value of the observation that the last step led to
        # One sequence has to be complete whatever row the ring begins with.
        least = num_envs * length * math.ceil((self.span + length) / length)
        if capacity < least:
            raise EnvzooError(
                f"buffer_size is {capacity}; sequences of {length} steps after a burn-in of {burn_in}, in {num_envs} "
                f"environments, need at least {least}"
            )
        self.rows = math.ceil(capacity / num_envs / length) * length
        self._shapes = {
            "observation": ((columns,), torch.from_numpy(np.empty(0, dtype)).dtype),
            "action": ((), torch.int64) if action_dim is None else ((action_dim,), torch.float32),
            "reward": ((), torch.float32),
            "terminated": ((), torch.bool),
            "start": ((), torch.bool),
            "valid": ((), torch.bool),
        }
        self.state_dim = state_dim
        row = sum(math.prod(shape) * torch.empty((), dtype=kind).itemsize for shape, kind in self._shapes.values())
        size = num_envs * self.rows * (row + 4 * state_dim / length)
        check_bytes(size, f"a replay buffer for {capacity} steps with their memories", later=True)
        self.counts = np.zeros(num_envs, np.int64)  # rows written so far in each environment
        self._arrays, self._state = self._allocate(min(self.rows, length * math.ceil(self.INITIAL_ROWS / length)))

    def __len__(self) -> int:
        return int(np.minimum(self.counts, self.rows).sum())

    def _allocate(self, rows: int) -> tuple[dict[str, Tensor], Tensor]:
        arrays = {
            name: torch.zeros(rows, self.num_envs, *shape, dtype=dtype, device=self.device)
            for name, (shape, dtype) in self._shapes.items()
        }
        return arrays, torch.zeros(rows // self.length, self.num_envs, self.state_dim, device=self.device)

    def _grow(self) -> None:
        old, memories = self._arrays, self._state
        before = len(memories) * self.length
        self._arrays, self._state = self._allocate(min(self.rows, 2 * before))
        for name, array in old.items():
            self._arrays[name][:before] = array
        self._state[: len(memories)] = memories

    def add(
        self,
        observation: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        start: np.ndarray,
        valid: np.ndarray,
        state: Tensor,
    ) -> None:
        """Append one step of all environments.

        Args:
            observation: (B, P) packed.
            action: (B, D) or (B,).
            reward: (B,).
            terminated: (B,) bool.
            start: (B,) bool, which observations open an episode.
            valid: (B,) bool; the others are steps in which an environment reset itself.
            state: (B, S), the memories before the observations were read.
        """
        envs = np.arange(self.num_envs)
        self._write(envs, state, (observation, action, reward, terminated, start, valid))

    def add_last(self, observation: np.ndarray, envs: np.ndarray, state: Tensor) -> None:
        """Append the last observations (K, P) of truncated episodes of the environments `envs` (K,).

        `state` (K, S) are the memories before they were read.
        """
        count, action = len(envs), self._arrays["action"]
        nothing = np.zeros(count, bool)
        idle = np.zeros((count, *action.shape[2:]), np.int64 if action.dtype == torch.int64 else np.float32)
        self._write(envs, state, (observation, idle, np.zeros(count, np.float32), nothing, nothing, nothing))

    def _write(self, envs: np.ndarray, state: Tensor, columns: tuple[np.ndarray, ...]) -> None:
        slots = self.counts[envs] % self.rows
        while slots.max() >= len(self._state) * self.length:
            self._grow()
        where = torch.from_numpy(slots), torch.from_numpy(envs)
        for name, column in zip(self.COLUMNS, columns, strict=True):
            array = self._arrays[name]
            array[where] = torch.from_numpy(np.ascontiguousarray(column)).to(self.device, array.dtype)
        due = np.flatnonzero(slots % self.length == 0)
        if len(due):
            chosen = torch.from_numpy(due).to(self.device)
            self._state[torch.from_numpy(slots[due] // self.length), torch.from_numpy(envs[due])] = state[chosen]
        self.counts[envs] += 1

    def complete(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of the first stored sequence of each environment, and how many are complete, (B,) each."""
        first = -(-np.maximum(self.counts - self.rows, 0) // self.length)
        return first, np.maximum((self.counts - self.span) // self.length - first + 1, 0)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Batch | None:
        """Sample sequences uniformly with replacement, and return the transitions in them.

        Args:
            count: Number of transitions, rounded to a whole number of sequences.
            generator: Generator on the buffer's device.

        Returns:
            Transitions whose observations are `Recalled`; fewer than `count` where rows are not to be learned from.
            None without any, or before a sequence is complete.
        """
        first, found = self.complete()
        if not found.any():
            return None
        ends = torch.from_numpy(found.cumsum()).to(self.device)
        number = max(1, round(count / self.length))
        drawn = torch.randint(int(found.sum()), (number,), generator=generator, device=self.device)
        envs = torch.searchsorted(ends, drawn, right=True)
        within = drawn - (ends - torch.from_numpy(found).to(self.device))[envs]
        return self.sequences(torch.from_numpy(first).to(self.device)[envs] + within, envs)

    def sequences(self, number: Tensor, envs: Tensor) -> Batch | None:
        """Return the transitions of the sequences `number` (K,) of the environments `envs` (K,)."""
        length, first = self.length, number * self.length
        slots = (first + torch.arange(self.span, device=self.device)[:, None]) % self.rows
        rows = {name: array[slots, envs] for name, array in self._arrays.items()}
        state = self._state[number % (self.rows // length), envs]
        learned = {name: column[self.burn_in : self.burn_in + length] for name, column in rows.items()}
        # After a reset that no step asked for, as when a run was resumed, the next row belongs to another episode.
        follows = learned["terminated"] | ~rows["start"][self.burn_in + 1 :]
        index = torch.nonzero((learned["valid"] & follows).flatten()).flatten()
        if not len(index):
            return None

        def seen(shift: int) -> Recalled:
            return Recalled(rows["observation"], rows["start"], state, self.burn_in, index + shift * len(envs))

        action, reward, terminated = (learned[name].flatten(0, 1)[index] for name in ("action", "reward", "terminated"))
        return Batch(seen(0), action, reward, terminated.float(), seen(1))

    def state_dict(self) -> dict[str, Any]:
        """Return the filled rows, the memories, and the number of rows written."""
        filled = min(int(self.counts.max()), self.rows)
        memories = -(-filled // self.length)
        rows = {name: array[:filled] for name, array in self._arrays.items()}
        return {"counts": self.counts.copy(), "rows": rows, "memories": self._state[:memories]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` of a buffer of the same sizes returned.

        Raises:
            ValueError: Its parts do not fit each other, or this buffer.
        """
        counts = np.asarray(state["counts"])
        if (counts.shape, counts.dtype) != (self.counts.shape, self.counts.dtype) or (counts < 0).any():
            raise ValueError(f"the counts of a replay buffer are {counts.dtype} of shape {counts.shape}")
        filled = min(int(counts.max()), self.rows)
        memories = -(-filled // self.length)
        arrays, stored = self._allocate(max(self.length, self.length * memories))
        given = [(state["rows"][name], arrays[name][:filled], name) for name in self.COLUMNS]
        for source, target, name in [*given, (state["memories"], stored[:memories], "memories")]:
            if (source.shape, source.dtype) != (target.shape, target.dtype):
                raise ValueError(f"{name} of a replay buffer has the shape {tuple(source.shape)} and {source.dtype}")
            target[:] = source
        self.counts, self._arrays, self._state = counts.copy(), arrays, stored
