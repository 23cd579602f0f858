"""Soft Bellman backups of finite decision processes (arXiv 1812.05905, section 4); hard maximum at temperature 0."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def soft_maximum(row: np.ndarray, alpha: float) -> float:
    """Compute alpha log sum exp(row / alpha); for alpha 0 the largest entry. Entries of -inf do not count."""
    top = row.max()
    if alpha == 0.0:
        return top
    total = 0.0
    for value in row:
        total += np.exp((value - top) / alpha)
    return top + alpha * np.log(total)


@njit(cache=True)
def soft_backup(p: np.ndarray, r: np.ndarray, gamma: float, alpha: float, v: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Write r + gamma P v into q (S, A), and return its soft maximum over actions (S,)."""
    states, actions = r.shape
    out = np.empty(states)
    for s in range(states):
        for a in range(actions):
            expected = 0.0
            for t in range(states):
                expected += p[s, a, t] * v[t]
            q[s, a] = r[s, a] + gamma * expected
        out[s] = soft_maximum(q[s], alpha)
    return out


@njit(cache=True)
def soft_iteration(p: np.ndarray, r: np.ndarray, gamma: float, alpha: float, tolerance: float, limit: int):
    """Iterate the soft backup from zero until every value is within `tolerance` of the fixed point.

    Args:
        p: (S, A, S) transition probabilities; what a row lacks to 1 is the probability that the episode terminates.
        r: (S, A) expected rewards, -inf for actions that are not available.
        gamma: Discount, below 1.
        alpha: Temperature; 0 is ordinary value iteration.
        tolerance: Largest error of a value.
        limit: Number of backups after which to give up.

    Returns:
        Values (S,), action values (S, A), and the number of backups, limit + 1 if they did not suffice.
    """
    v, q = np.zeros(r.shape[0]), np.empty(r.shape)
    for iteration in range(1, limit + 1):
        new = soft_backup(p, r, gamma, alpha, v, q)
        change, size = np.abs(new - v).max(), np.abs(new).max()
        v = new
        # The distance to the fixed point is at most gamma / (1 - gamma) times the last change; below a few units in
        # the last place a smaller change cannot be reached.
        if gamma * change <= max((1.0 - gamma) * tolerance, 4e-16 * size):
            return v, q, iteration
    return v, q, limit + 1


def soft_policy(q: np.ndarray, alpha: float) -> np.ndarray:
    """Compute softmax(q / alpha) along the last axis, (..., A) -> (..., A); for alpha 0 even among the largest."""
    q = np.asarray(q, np.float64)
    gap = q - q.max(axis=-1, keepdims=True)
    weights = (gap == 0).astype(np.float64) if alpha == 0 else np.exp(gap / alpha)
    return weights / weights.sum(axis=-1, keepdims=True)
