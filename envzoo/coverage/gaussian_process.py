"""Gaussian processes on the cells of a grid: covariances, and low-rank factors for fast sampling."""

from __future__ import annotations

import numpy as np

from envzoo.sizes import check_bytes


def grid_points(rows: int, columns: int, spacing: float) -> np.ndarray:
    """Return the coordinates of the cells, float64 (rows * columns, 2), `spacing` apart."""
    return spacing * np.stack(np.divmod(np.arange(rows * columns), columns), axis=1).astype(np.float64)


def matern(a: np.ndarray, b: np.ndarray, lengthscale: float) -> np.ndarray:
    """Compute the Matern covariance with smoothness 5/2, unit variance, of points (n, 2) and (m, 2), float64 (n, m).

    With r the distance and s = sqrt(5) r / lengthscale: (1 + s + s^2 / 3) exp(-s).
    """
    # Compute distances from differences, because the shorter formula with inner products is inaccurate for equal
    # points.
    squares = sum(np.subtract.outer(a[:, axis], b[:, axis]) ** 2 for axis in range(a.shape[1]))
    s = np.sqrt(5.0 * squares) / lengthscale
    return (1.0 + s + s * s / 3.0) * np.exp(-s)


def posterior_covariance(points: np.ndarray, observed: np.ndarray, lengthscale: float, noise: float) -> np.ndarray:
    """Compute the covariance of a Matern process at `points` (n, 2) given noisy values at `observed` (m, 2).

    Args:
        points: Points of the covariance.
        observed: Points with observed values; may be empty.
        lengthscale: Lengthscale of the process.
        noise: Variance of the noise of the observed values.

    Returns:
        float64 (n, n), symmetric.
    """
    _check_size(len(points) + len(observed))
    prior = matern(points, points, lengthscale)
    cross = matern(observed, points, lengthscale)
    factor = np.linalg.cholesky(matern(observed, observed, lengthscale) + noise * np.eye(len(observed)))
    explained = np.linalg.solve(factor, cross)
    return prior - explained.T @ explained


def low_rank_factor(points: np.ndarray, lengthscale: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute a low-rank factor of the Matern covariance of `points` (n, 2) by pivoted Cholesky decomposition.

    Args:
        points: The points.
        lengthscale: Lengthscale of the process.
        tolerance: The decomposition stops when the missing variance of every point is at most this.

    Returns:
        `factor` float64 (rank, n) and `missing` float64 (n,), the variance not yet explained: factor.T @ factor +
        diag(missing) has the exact variances, and covariances with an error of at most `tolerance`.
    """
    _check_size(len(points))
    missing = np.ones(len(points))
    factor = np.zeros((len(points), len(points)))
    rank = 0
    while rank < len(points) and missing.max() > tolerance:
        pivot = int(missing.argmax())
        covariance = matern(points[pivot : pivot + 1], points, lengthscale)[0]
        row = (covariance - factor[:rank, pivot] @ factor[:rank]) / np.sqrt(missing[pivot])
        factor[rank] = row
        missing = np.maximum(missing - row * row, 0.0)
        missing[pivot] = 0.0
        rank += 1
    return factor[:rank].copy(), missing


def _check_size(points: int) -> None:
    """Reject a process whose covariance matrices, several of which are needed at a time, take too much memory."""
    check_bytes(5 * 8 * points**2, f"a Gaussian process on {points} cells")
