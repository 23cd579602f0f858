"""Rates of regret: log-log slopes with intervals, and confidence bands over seeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from envzoo.errors import EnvzooError


class Slope(NamedTuple):
    """A slope with its confidence interval."""

    value: float
    low: float
    high: float


def log_log_slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Fit log y = slope log x + constant by least squares, one fit per row.

    Args:
        x: (n,) positive numbers, such as numbers of episodes.
        y: (..., n) positive numbers, such as the regret of each seed.

    Returns:
        (...,) slopes.

    Raises:
        EnvzooError: Fewer than two different x, or numbers that are not positive.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 1 or y.shape[-1:] != x.shape or len(np.unique(x)) < 2:
        raise EnvzooError(f"x and y have the shapes {x.shape} and {y.shape}, expected (n,) and (..., n) with n >= 2")
    if not (x > 0).all() or not (y > 0).all():
        raise EnvzooError("a slope in logarithms needs positive numbers")
    centred = np.log(x) - np.log(x).mean()
    return (np.log(y) * centred).sum(axis=-1) / (centred**2).sum()


def slope_of_means(x: np.ndarray, y: np.ndarray, *, confidence: float = 0.95) -> Slope:
    """Fit the slope of the log of the mean over seeds, with a jackknife interval over seeds.

    Seeds in which the regret is not positive do not break it, as they would break the mean of slopes.

    Args:
        x: (n,).
        y: (seeds, n), whose means over seeds are positive.
        confidence: Coverage of the interval.
    """
    y = np.asarray(y, np.float64)
    if y.ndim != 2 or len(y) < 2:
        raise EnvzooError(f"y has the shape {y.shape}, expected (seeds, n) with at least two seeds")
    seeds, whole = len(y), float(log_log_slopes(x, y.mean(axis=0)))
    rest = log_log_slopes(x, (y.sum(axis=0) - y) / (seeds - 1))
    error = np.sqrt((seeds - 1) / seeds * ((rest - rest.mean()) ** 2).sum())
    half = float(stats.t.ppf((1 + confidence) / 2, seeds - 1) * error)
    return Slope(whole, whole - half, whole + half)


def confidence_band(y: np.ndarray, *, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute mean, lower and upper end, each (n,), of pointwise t intervals over seeds, y (seeds, n)."""
    y = np.asarray(y, np.float64)
    if y.ndim != 2 or len(y) < 2:
        raise EnvzooError(f"y has the shape {y.shape}, expected (seeds, n) with at least two seeds")
    mean = y.mean(axis=0)
    half = stats.t.ppf((1 + confidence) / 2, len(y) - 1) * y.std(axis=0, ddof=1) / np.sqrt(len(y))
    return mean, mean - half, mean + half
