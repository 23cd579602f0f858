"""Coverage: the number or weight of the points covered by a set of elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from envzoo.coverage.grid import disc_table
from envzoo.coverage.set_functions.base import SetFunction, amounts, whole
from envzoo.errors import EnvzooError


class Data(NamedTuple):
    """Parameters of the function: element e covers the points covers[starts[e] : starts[e + 1]]."""

    starts: np.ndarray  # int64 (n + 1,)
    covers: np.ndarray  # int64
    weights: np.ndarray  # float64 (points,)


class State(NamedTuple):
    """State of B sets."""

    covered: Any  # bool (B, points)
    value: Any  # float64 (B,)


@njit(cache=True)
def gains(data, state, candidates, out):
    """Compute gains: the weight of the points that each candidate covers and its set does not."""
    for b in range(candidates.shape[0]):
        for k in range(candidates.shape[1]):
            element, gain = candidates[b, k], 0.0
            for i in range(data.starts[element], data.starts[element + 1]):
                if not state.covered[b, data.covers[i]]:
                    gain += data.weights[data.covers[i]]
            out[b, k] = gain


@njit(cache=True)
def add(data, state, elements, where, out):
    """Mark the points that each element covers."""
    for b in range(elements.size):
        if where[b]:
            gain = 0.0
            for i in range(data.starts[elements[b]], data.starts[elements[b] + 1]):
                point = data.covers[i]
                if not state.covered[b, point]:
                    gain += data.weights[point]
                    state.covered[b, point] = True
            state.value[b] += gain
            out[b] = gain


class WeightedCoverage(SetFunction):
    """F(S) = sum of the weights of the points covered by at least one element of S. Monotone and submodular.

    Args:
        covers: Points covered by each element: bool (elements, points), or one sequence of points per element.
        weights: Weight of each point (points,), finite and nonnegative: a density.

    Raises:
        EnvzooError: A point has no weight, a weight is negative or not finite, or there are no elements.
    """

    kernel_gains, kernel_add = gains, add

    def __init__(self, covers: np.ndarray | Sequence[Sequence[int]], weights: Sequence[float] | np.ndarray) -> None:
        weights = amounts("weights", weights, 1)
        lists = _lists(covers, len(weights))
        self.size = len(lists)
        starts = np.concatenate([[0], np.cumsum([len(points) for points in lists])]).astype(np.int64)
        self.data = Data(starts, np.concatenate(lists).astype(np.int64), weights)

    @classmethod
    def on_grid(
        cls, rows: int, columns: int, weights: np.ndarray, *, disc: str = "square", radius: int | None = None
    ) -> WeightedCoverage:
        """Make the weighted coverage of a grid by discs around visited cells, as in `envzoo/GridCoverage-v0`.

        Args:
            rows: Rows of the grid.
            columns: Columns of the grid.
            weights: Weight of each cell, (rows, columns) or (rows * columns,).
            disc: "square", "paper" or "paper_large"; see `envzoo.coverage.grid.disc_table`.
            radius: Half-width of the square disc, None for 1.

        Raises:
            EnvzooError: As in the constructor and `disc_table`.
        """
        whole("rows", rows, 1)
        whole("columns", columns, 1)
        table, sizes = disc_table(rows, columns, disc, radius)
        return cls([cells[:size] for cells, size in zip(table, sizes, strict=True)], np.ravel(weights))

    def value(self, indices: Iterable[int]) -> float:
        """Compute F of a set of elements; see `SetFunction.value`."""
        covered = np.zeros(len(self.data.weights), bool)
        for element in self._set(indices):
            covered[self.data.covers[self.data.starts[element] : self.data.starts[element + 1]]] = True
        return float(self.data.weights[covered].sum())

    def layout(self, capacity: int) -> State:
        """Return the layout; see `SetFunction.layout`."""
        return State(covered=(np.bool_, (len(self.data.weights),)), value=np.float64)


class Coverage(WeightedCoverage):
    """F(S) = number of points covered by at least one element of S. Monotone and submodular.

    Args:
        covers: Points covered by each element: bool (elements, points), or one sequence of points per element.
        points: Number of points; None for the width of the matrix, or the largest point in the lists plus 1.

    Raises:
        EnvzooError: A point is outside 0 to points - 1, or there are no elements.
    """

    def __init__(self, covers: np.ndarray | Sequence[Sequence[int]], points: int | None = None) -> None:
        if points is None:
            matrix = isinstance(covers, np.ndarray) and covers.ndim == 2
            points = covers.shape[1] if matrix else 1 + max((int(p) for row in covers for p in row), default=0)
        whole("points", points, 1)
        super().__init__(covers, np.ones(points))

    @classmethod
    def on_grid(cls, rows: int, columns: int, *, disc: str = "square", radius: int | None = None) -> Coverage:
        """Make the coverage of a grid by discs; see `WeightedCoverage.on_grid`."""
        whole("rows", rows, 1)
        whole("columns", columns, 1)
        table, _ = disc_table(rows, columns, disc, radius)
        return cls([np.unique(cells) for cells in table], rows * columns)


def _lists(covers: np.ndarray | Sequence[Sequence[int]], points: int) -> list[np.ndarray]:
    """Return the distinct points of each element, validated."""
    if isinstance(covers, np.ndarray) and covers.dtype != object:
        # An integer matrix is ambiguous, so it is refused.
        if covers.dtype != np.bool_:
            raise EnvzooError(f"covers is a matrix of {covers.dtype}; expected bool, or a list of points per element")
        if covers.ndim != 2 or covers.shape[1] != points:
            raise EnvzooError(f"covers has the shape {covers.shape}; expected (elements, {points}) for {points} points")
        lists = [np.flatnonzero(row) for row in covers]
    else:
        lists = [np.unique(np.asarray(row, np.int64)) for row in covers]
    if not lists:
        raise EnvzooError("covers is empty; expected at least one element")
    for element, row in enumerate(lists):
        if row.size and not 0 <= row[0] <= row[-1] < points:
            wrong = row[0] if row[0] < 0 else row[-1]
            raise EnvzooError(f"element {element} covers point {wrong}; expected points from 0 to {points - 1}")
    return lists
