"""Shuffled passes through a data set, resumable."""

from __future__ import annotations

from typing import Any

import numpy as np


class Passes:
    """Where training is in its data: in shuffled passes, with the order of the present pass."""

    def __init__(self) -> None:
        self.warm, self.at, self.order = False, 0, np.zeros(0, np.int64)

    def next(self, count: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """Return the next rows, at most `count`, up to the end of a pass."""
        if self.at >= len(self.order):
            self.at, self.order = 0, rng.permutation(size)
        rows = self.order[self.at : self.at + count]
        self.at += len(rows)
        return rows

    def state_dict(self) -> dict[str, Any]:
        """Return the position."""
        return {"warm": self.warm, "at": self.at, "order": self.order}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a position."""
        order = np.array(state["order"], np.int64)
        if order.ndim != 1 or not np.array_equal(np.sort(order), np.arange(len(order))):
            raise ValueError("the order of the pairs is none")
        self.warm, self.at, self.order = bool(state["warm"]), int(state["at"]), order
