"""Replay buffer of transitions, stored as ring arrays on the agent's device."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from envzoo.errors import EnvzooError
from envzoo.sizes import check_bytes


class Batch(NamedTuple):
    """N transitions, tensors on the agent's device.

    Attributes:
        observation: (N, P) packed.
        action: (N, D) float32, or (N,) int64 for discrete actions.
        reward: (N,) float32.
        terminated: (N,) float32, 1 where the episode terminated: no value is bootstrapped there.
        next_observation: (N, P) packed; the true next observation, also where the episode was truncated.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    next_observation: Tensor


class ReplayBuffer:
    """Replay buffer of the last `capacity` transitions, sampled uniformly with replacement.

    Truncation is not stored: a truncated transition bootstraps from its next observation like any other, while
    `terminated` ones do not. Memory grows with the content (by doubling), up to the capacity.

    Args:
        capacity: Maximum number of transitions; the oldest are overwritten.
        columns: P, width of a packed observation.
        dtype: Data type of packed observations.
        action_dim: D, or None for discrete actions.
        mask_dim: A, number of columns after the P that hold the action mask.
        device: Device of the arrays.

    Raises:
        EnvzooError: A capacity below 1.
    """

    INITIAL_ROWS = 1024

    def __init__(
        self,
        capacity: int,
        columns: int,
        dtype: np.dtype,
        action_dim: int | None,
        device: torch.device | str = "cpu",
        mask_dim: int = 0,
    ):
        if capacity < 1:
            raise EnvzooError(f"a replay buffer holds at least 1 transition, got a capacity of {capacity}")
        self.capacity = int(capacity)
        self.device = torch.device(device)
        self.position = 0  # row of the next transition
        self.size = 0
        self.unmasked_dim = columns
        observation = ((columns + mask_dim,), torch.from_numpy(np.empty(0, dtype)).dtype)
        self._columns = {
            "observation": observation,
            "action": ((), torch.int64) if action_dim is None else ((action_dim,), torch.float32),
            "reward": ((), torch.float32),
            "terminated": ((), torch.float32),
            "next_observation": observation,
        }
        row = sum(math.prod(shape) * torch.empty((), dtype=dtype).itemsize for shape, dtype in self._columns.values())
        check_bytes(self.capacity * row, f"a replay buffer for {self.capacity} transitions", later=True)
        self._arrays = self._allocate(min(self.capacity, self.INITIAL_ROWS))

    def __len__(self) -> int:
        return self.size

    def _allocate(self, rows: int) -> Batch:
        return Batch(
            *(torch.empty(rows, *shape, dtype=dtype, device=self.device) for shape, dtype in self._columns.values())
        )

    def _grow(self, rows: int) -> None:
        """Make room for `rows` rows; called only before the ring is full, while row order is age."""
        allocated = len(self._arrays.reward)
        grown = self._allocate(min(self.capacity, max(rows, 2 * allocated)))
        for old, new in zip(self._arrays, grown, strict=True):
            new[: self.size] = old[: self.size]
        self._arrays = grown

    def add(
        self,
        observation: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        next_observation: np.ndarray,
        valid: np.ndarray | None = None,
    ) -> int:
        """Append the transitions of one step of B environments.

        Args:
            observation: (B, P) packed.
            action: (B, D) or (B,).
            reward: (B,).
            terminated: (B,) bool.
            next_observation: (B, P) packed, the true next observation.
            valid: (B,) bool, rows to keep; None keeps all.

        Returns:
            The number of transitions added.
        """
        rows = (observation, action, reward, terminated, next_observation)
        if valid is not None and not valid.all():
            rows = tuple(row[valid] for row in rows)
        count = len(rows[2])
        if count > self.capacity:  # only the newest fit
            rows, count = tuple(row[-self.capacity :] for row in rows), self.capacity
        if count == 0:
            return 0
        end = self.position + count
        if len(self._arrays.reward) < min(end, self.capacity):
            self._grow(end)
        first = min(count, self.capacity - self.position)  # rows before the end of the ring
        for array, row in zip(self._arrays, rows, strict=True):
            tensor = torch.from_numpy(row)
            array[self.position : self.position + first] = tensor[:first]
            if first < count:
                array[: count - first] = tensor[first:]
        self.position = end % self.capacity
        self.size = min(self.capacity, self.size + count)
        return count

    def sample(self, count: int, generator: torch.Generator | None = None) -> Batch:
        """Sample `count` transitions uniformly with replacement.

        Args:
            count: N.
            generator: Generator on the buffer's device.

        Raises:
            EnvzooError: The buffer is empty.
        """
        if self.size == 0:
            raise EnvzooError("the replay buffer is empty; add transitions before sampling")
        index = torch.randint(self.size, (count,), generator=generator, device=self.device)
        return self.rows(index)

    def rows(self, index: Tensor) -> Batch:
        """Return the transitions at rows `index` (N,) int64; row 0 is the oldest until the ring is full."""
        return Batch(*(array.index_select(0, index) for array in self._arrays))

    def state_dict(self) -> dict[str, Any]:
        """Return the filled rows, and the position in the ring."""
        filled = {name: array[: self.size] for name, array in zip(Batch._fields, self._arrays, strict=True)}
        return {"position": self.position, "size": self.size, "rows": filled}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` of a buffer of the same capacity returned.

        Raises:
            EnvzooError: It holds more transitions than this buffer can.
        """
        size, position = operator.index(state["size"]), operator.index(state["position"])
        lengths = {len(column) for column in state["rows"].values()}
        if lengths != {size} or not 0 <= position <= size:
            raise ValueError(f"a replay buffer of {size} transitions holds {sorted(lengths)}")
        if size > self.capacity:
            raise EnvzooError(f"a replay buffer for {self.capacity} transitions cannot hold {size}")
        self._arrays = self._allocate(min(self.capacity, max(size, self.INITIAL_ROWS)))
        for name, array in zip(Batch._fields, self._arrays, strict=True):
            rows = state["rows"][name]
            if "observation" in name and rows.shape[1] == self.unmasked_dim < array.shape[1]:
                # Files of the first release hold no masks: all actions were allowed.
                array[:size, : self.unmasked_dim], array[:size, self.unmasked_dim :] = rows, 1
            else:
                array[:size] = rows
        self.size, self.position = size, position
