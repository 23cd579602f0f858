"""Sequences of a dataset for agents whose encoders have a memory: episodes played side by side, in random order."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


class EpisodeStreams:
    """B streams, each of which plays one random episode of a table after the other, whole and in order.

    Each call of `draw` continues all streams, so that the memory that an encoder has after one chunk is the one that it
    needs before the next: nothing has to be guessed or warmed up. All episodes are equally likely, hence in the long
    run all transitions are.

    Args:
        first_rows: (E,) int64, the row at which each episode begins, in ascending order.
        rows: Number of rows of the table.
        state: (B, S), the memory of B fresh episodes.
    """

    def __init__(self, first_rows: np.ndarray, rows: int, state: Tensor):
        self.first = np.asarray(first_rows, np.int64)
        self.last = np.append(self.first[1:], rows)
        self.row = np.zeros(len(state), np.int64)  # the next row of each stream
        self.end = np.zeros(len(state), np.int64)  # where its episode ends
        self.state = state

    def draw(self, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Continue the streams: rows int64 (T, B), and which of them open an episode, bool (T, B)."""
        index, start = np.empty((steps, len(self.row)), np.int64), np.zeros((steps, len(self.row)), bool)
        for b in range(len(self.row)):
            t = 0
            while t < steps:
                if self.row[b] == self.end[b]:
                    drawn = torch.randint(len(self.first), (), generator=generator, device=generator.device)
                    self.row[b], self.end[b] = self.first[int(drawn)], self.last[int(drawn)]
                    start[t, b] = True
                count = min(steps - t, self.end[b] - self.row[b])
                index[t : t + count, b] = np.arange(self.row[b], self.row[b] + count)
                self.row[b] += count
                t += count
        device = self.state.device
        return torch.from_numpy(index).to(device), torch.from_numpy(start).to(device)

    def state_dict(self) -> dict[str, Any]:
        """Return the place of each stream, and the memory."""
        return {"row": self.row.copy(), "end": self.end.copy(), "state": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state; streams whose places do not lie in the present data begin new episodes.

        Raises:
            ValueError: Arrays of other shapes, or a memory that is not finite.
        """
        row, end, memory = np.asarray(state["row"]), np.asarray(state["end"]), state["state"]
        for given, own in ((row, self.row), (end, self.end), (memory, self.state)):
            if (given.shape, given.dtype) != (own.shape, own.dtype):
                raise ValueError(f"the streams of episodes have the shape {tuple(given.shape)} and {given.dtype}")
        if not torch.isfinite(memory).all():
            raise ValueError("the memory of the streams of episodes holds NaN or infinite numbers")
        inside = np.isin(end, self.last) & (row >= 0) & (row <= end)
        self.row, self.end = np.where(inside, row, 0), np.where(inside, end, 0)
        self.state = memory.to(self.state.device)
