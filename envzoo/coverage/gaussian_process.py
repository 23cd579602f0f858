"""Gaussian processes on the cells of a grid: covariances, and a factor from which fields are drawn quickly."""

from __future__ import annotations

import numpy as np

from envzoo.sizes import check_bytes


def grid_points(rows: int, columns: int, spacing: float) -> np.ndarray:
    """The cells' coordinates, float64 (rows * columns, 2), `spacing` apart."""
    return spacing * np.stack(np.divmod(np.arange(rows * columns), columns), axis=1).astype(np.float64)


def matern(a: np.ndarray, b: np.ndarray, lengthscale: float) -> np.ndarray:
    """The Matern covariance with smoothness 5/2 and unit variance between points (n, 2) and (m, 2), float64 (n, m).

    With r the distance and s = sqrt(5) r / lengthscale: (1 + s + s^2 / 3) exp(-s).
    """
    # Distances by differences, because the shorter formula with inner products loses digits where points coincide.
    squares = sum(np.subtract.outer(a[:, axis], b[:, axis]) ** 2 for axis in range(a.shape[1]))
    s = np.sqrt(5.0 * squares) / lengthscale
    return (1.0 + s + s * s / 3.0) * np.exp(-s)


def posterior_covariance(points: np.ndarray, observed: np.ndarray, lengthscale: float, noise: float) -> np.ndarray:
    """The covariance of a Matern process at `points` (n, 2) given noisy values at the points `observed` (m, 2).

    Args:
        points: Where the covariance is wanted.
        observed: Where values have been observed; none when m = 0.
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
    """A factor of the Matern covariance of `points` (n, 2), by a Cholesky decomposition with pivots, stopped early.

    Args:
        points: The points.
        lengthscale: Lengthscale of the process.
        tolerance: The decomposition stops when no point misses more than this variance.

    Returns:
        `factor` float64 (rank, n) and `missing` float64 (n,), the variance not yet explained: factor.T @ factor +
        diag(missing) has the exact variances, and covariances that are off by at most `tolerance`.
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
    """Refuse a process whose covariances, of which several tables are needed at a time, take too many bytes."""
    check_bytes(5 * 8 * points**2, f"a Gaussian process on {points} cells")
