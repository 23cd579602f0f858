"""GridDiscretiser: map positions in a box to the cells of a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_choice, check_shape


class GridDiscretiser:
    """Maps positions to the cells of a regular grid over a box, numbered with the last axis varying fastest.

    Args:
        low: Lower corner (d,).
        high: Upper corner (d,), greater than `low` on every axis.
        shape: Number of cells along each axis (d,).
        outside: Treatment of positions outside the box: "clip" takes the nearest cell, "raise" raises an error.

    Attributes:
        size: Number of cells.

    Raises:
        EnvzooError: The corners do not span a box, or the shape does not match them.
        UnknownNameError: `outside` is unknown.
    """

    def __init__(
        self, low: Sequence[float], high: Sequence[float], shape: Sequence[int], *, outside: str = "clip"
    ) -> None:
        try:
            self.low, self.high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        except (TypeError, ValueError):
            raise EnvzooError(f"low {low!r} and high {high!r} are no corners; expected numbers, one per axis") from None
        self.shape = check_shape("shape", shape)
        fits = self.low.shape == self.high.shape == (len(self.shape),) and np.isfinite([self.low, self.high]).all()
        if not fits or not (self.low < self.high).all() or not self.shape or min(self.shape) < 1:
            raise EnvzooError(
                f"low {low}, high {high} and shape {shape} do not span a grid; expected finite corners, low < high, "
                "and a positive number of cells along each axis"
            )
        check_choice("value of outside", outside, ("clip", "raise"))
        self.outside = outside
        self.size = int(np.prod(self.shape))

    def __call__(self, position: np.ndarray) -> np.ndarray:
        """Compute the cells of positions (..., d), int64 (...).

        Raises:
            EnvzooError: The positions have the wrong dimension, are not numbers, or (with "raise") lie outside the box.
        """
        position = np.asarray(position)
        if position.shape[-1:] != self.low.shape or position.dtype.kind not in "iuf":
            raise EnvzooError(
                f"positions are {position.dtype} of shape {position.shape}; expected numbers (..., {len(self.shape)})"
            )
        if np.isnan(position).any():
            raise EnvzooError("a position is not a number, and lies in no cell")
        inside = ((position >= self.low) & (position <= self.high)).all(axis=-1)
        if self.outside == "raise" and not inside.all():
            wrong = position[~inside][0] if position.ndim > 1 else position
            raise EnvzooError(f"position {wrong} lies outside the box from {self.low} to {self.high}")
        share = np.clip((position - self.low) / (self.high - self.low), 0.0, 1.0)
        # The upper border belongs to the last cell.
        cells = np.minimum((share * self.shape).astype(np.int64), np.array(self.shape) - 1)
        return np.ravel_multi_index(tuple(np.moveaxis(cells, -1, 0)), self.shape).astype(np.int64)
