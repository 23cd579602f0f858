"""Nearest rows of a dataset."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from envzoo.errors import EnvzooError, unknown

BACKENDS = ("auto", "kdtree", "brute")
TREE_DIMENSIONS = 15  # beyond, a tree visits most of its leaves
CHUNK = 2**24  # distances computed at a time


class DatasetNeighbours:
    """Finds the rows of a dataset nearest to given keys, in the Euclidean distance.

    Args:
        rows: (N, d) numbers.
        backend: "kdtree" (scipy's cKDTree), "brute" (all distances), or "auto": the tree up to
            15 dimensions.

    Raises:
        EnvzooError: No rows, rows that are not finite, or a backend that does not exist.
    """

    def __init__(self, rows: np.ndarray, backend: str = "auto"):
        if backend not in BACKENDS:
            raise unknown("backend", backend, BACKENDS)
        self.rows = np.ascontiguousarray(rows, np.float64)
        if self.rows.ndim != 2 or not len(self.rows) or not np.isfinite(self.rows).all():
            raise EnvzooError(
                f"rows have the shape {self.rows.shape}; expected finite numbers (N, d) with N of at least 1"
            )
        if backend == "auto":
            backend = "kdtree" if self.rows.shape[1] <= TREE_DIMENSIONS else "brute"
        self.backend = backend
        # Splitting in the middle keeps many equal rows from making a deep tree.
        self._tree = cKDTree(self.rows, balanced_tree=False) if backend == "kdtree" else None

    def query(self, keys: np.ndarray, k: int = 1, upper: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
        """Find the k nearest rows of each key.

        Args:
            keys: (B, d).
            k: Number of rows, at most N.
            upper: A distance within which every key is known to have k rows; it speeds up the tree.

        Returns:
            Distances and row numbers, (B, k) each, nearest first. Which of equally near rows is found is not specified.

        Raises:
            EnvzooError: Keys of another width or not finite, or k out of range.
        """
        keys = np.asarray(keys, np.float64)
        if keys.ndim != 2 or keys.shape[1] != self.rows.shape[1] or not np.isfinite(keys).all():
            raise EnvzooError(f"keys have the shape {keys.shape}; expected finite numbers (B, {self.rows.shape[1]})")
        if not 1 <= k <= len(self.rows):
            raise EnvzooError(f"k is {k!r}; expected a whole number from 1 to {len(self.rows)}, the number of rows")
        if self._tree is not None:
            # A little more than the bound, which the rounding of squares may exceed.
            distance, index = self._tree.query(
                keys, k=[*range(1, k + 1)], distance_upper_bound=upper * (1 + 1e-9) + 1e-9
            )
            if np.isinf(distance).any():
                raise EnvzooError(f"a key has fewer than {k} rows within {upper:g}; expected a larger bound")
            return distance, index
        return self._measure_all(keys, k)

    def _measure_all(self, keys: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest rows by all distances: candidates by a matrix product, then their exact differences."""
        norms = np.einsum("nd,nd->n", self.rows, self.rows)
        distances, indices = np.empty((len(keys), k)), np.empty((len(keys), k), np.int64)
        size = max(1, CHUNK // len(self.rows))
        for first in range(0, len(keys), size):
            block = keys[first : first + size]
            own = np.einsum("bd,bd->b", block, block)
            rough = own[:, None] + norms - 2 * block @ self.rows.T
            # The expanded square cancels: no exact distance differs from it by more than this.
            slack = 8 * (block.shape[1] + 4) * np.finfo(float).eps * (own + norms.max())
            limit = np.partition(rough, k - 1, axis=1)[:, k - 1] + 2 * slack
            for offset, row in enumerate(rough <= limit[:, None]):
                candidates = np.flatnonzero(row)
                exact = np.linalg.norm(block[offset] - self.rows[candidates], axis=1)
                order = np.argsort(exact, kind="stable")[:k]
                distances[first + offset], indices[first + offset] = exact[order], candidates[order]
        return distances, indices
