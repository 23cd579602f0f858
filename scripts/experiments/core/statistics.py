"""Aggregates over seeds: interquartile means with stratified bootstrap intervals (Agarwal et al., arXiv 2108.13264)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import trim_mean

BOOTSTRAP_SEED = 20_240_109
REPLICATIONS = 2_000
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """An interquartile mean and the ends of its interval."""

    iqm: float
    low: float
    high: float


def interquartile_mean(scores: np.ndarray) -> float:
    """Mean of the middle half of all scores (runs, tasks), or (runs,); below four scores it is the plain mean."""
    scores = np.asarray(scores, float)
    return float(trim_mean(scores, 0.25, axis=None))


def bootstrap_iqm(
    scores: np.ndarray, *, replications: int = REPLICATIONS, confidence: float = CONFIDENCE, seed: int = BOOTSTRAP_SEED
) -> Estimate:
    """Estimate the IQM of scores (runs, tasks), or (runs,), with its stratified percentile bootstrap interval.

    Runs are resampled independently within each task.
    """
    scores = np.asarray(scores, float)
    scores = scores.reshape(len(scores), -1)
    runs, tasks = scores.shape
    generator = np.random.default_rng(seed)
    rows = generator.integers(runs, size=(replications, runs, tasks))
    resampled = scores[rows, np.arange(tasks)].reshape(replications, -1)
    low, high = _percentiles(trim_mean(resampled, 0.25, axis=1), confidence)
    return Estimate(interquartile_mean(scores), float(low), float(high))


def bootstrap_iqm_curve(
    curves: np.ndarray, *, replications: int = 500, confidence: float = CONFIDENCE, seed: int = BOOTSTRAP_SEED
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pointwise IQM of curves (runs, points) and the ends of its interval, three arrays (points,).

    Whole curves are resampled, so the band is as smooth as the curves.
    """
    curves = np.asarray(curves, float)
    rows = np.random.default_rng(seed).integers(len(curves), size=(replications, len(curves)))
    low, high = _percentiles(trim_mean(curves[rows], 0.25, axis=1), confidence)
    return trim_mean(curves, 0.25, axis=0), low, high


def probability_of_improvement(better: np.ndarray, worse: np.ndarray) -> float:
    """P(a run of the first beats a run of the second), averaged over tasks; scores (runs, tasks) or (runs,)."""
    better, worse = (np.asarray(scores, float).reshape(len(scores), -1) for scores in (better, worse))
    above = better[:, None] > worse[None]
    equal = better[:, None] == worse[None]
    return float(np.mean(above + 0.5 * equal))


def _percentiles(samples: np.ndarray, confidence: float) -> np.ndarray:
    tail = 100 * (1 - confidence) / 2
    return np.percentile(samples, [tail, 100 - tail], axis=0)
