"""Soft value iteration: exact maximum-entropy solutions of finite decision processes (arXiv 1812.05905, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from envzoo.errors import EnvzooError


@dataclass(frozen=True)
class SoftSolution:
    """What soft value iteration found.

    Attributes:
        q: (S, A) soft action values.
        v: (S,) soft values, alpha logsumexp(q / alpha), or the largest q when alpha is 0.
        policy: (S, A) the optimal policy, softmax(q / alpha); with alpha 0 even among the best actions.
        iterations: Backups made.
    """

    q: np.ndarray
    v: np.ndarray
    policy: np.ndarray
    iterations: int


@numba.njit(cache=True)
def _soft_maximum(row: np.ndarray, alpha: float) -> float:
    top = row.max()
    if alpha == 0.0:
        return top
    total = 0.0
    for value in row:
        total += np.exp((value - top) / alpha)
    return top + alpha * np.log(total)


@numba.njit(cache=True)
def _backup(p: np.ndarray, r: np.ndarray, gamma: float, alpha: float, v: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Write r + gamma P v into q, and return its soft maximum over actions."""
    states, actions = r.shape
    out = np.empty(states)
    for s in range(states):
        for a in range(actions):
            expected = 0.0
            for t in range(states):
                expected += p[s, a, t] * v[t]
            q[s, a] = r[s, a] + gamma * expected
        out[s] = _soft_maximum(q[s], alpha)
    return out


@numba.njit(cache=True)
def _iterate(p: np.ndarray, r: np.ndarray, gamma: float, alpha: float, tolerance: float, limit: int):
    v, q = np.zeros(r.shape[0]), np.empty(r.shape)
    for iteration in range(1, limit + 1):
        new = _backup(p, r, gamma, alpha, v, q)
        change, size = np.abs(new - v).max(), np.abs(new).max()
        v = new
        # The distance to the fixed point is at most gamma / (1 - gamma) times the last change; below a few units in
        # the last place a smaller change cannot be reached.
        if gamma * change <= max((1.0 - gamma) * tolerance, 4e-16 * size):
            return v, q, iteration
    return v, q, limit + 1


def soft_backup(p: np.ndarray, r: np.ndarray, v: np.ndarray, gamma: float, alpha: float) -> np.ndarray:
    """One application of the soft optimality backup: (T v)(s) = alpha log sum_a exp((r + gamma P v)(s, a) / alpha).

    It is a gamma-contraction in the largest absolute difference.

    Args:
        p: (S, A, S) transition probabilities.
        r: (S, A) expected rewards.
        v: (S,) values.
        gamma: Discount.
        alpha: Temperature, 0 for the hard maximum.

    Returns:
        (S,).

    Raises:
        EnvzooError: Arrays that do not fit together, or numbers out of range.
    """
    p, r = _check(p, r, gamma, alpha)
    v = np.ascontiguousarray(v, np.float64)
    if v.shape != r.shape[:1]:
        raise EnvzooError(f"v has the shape {v.shape}, expected {r.shape[:1]}")
    return _backup(p, r, float(gamma), float(alpha), v, np.empty(r.shape))


def soft_policy(q: np.ndarray, alpha: float) -> np.ndarray:
    """softmax(q / alpha) along the last axis, (..., A) -> (..., A); with alpha 0 even among the largest."""
    q = np.asarray(q, np.float64)
    gap = q - q.max(axis=-1, keepdims=True)
    weights = (gap == 0).astype(np.float64) if alpha == 0 else np.exp(gap / alpha)
    return weights / weights.sum(axis=-1, keepdims=True)


def soft_value_iteration(
    p: np.ndarray,
    r: np.ndarray,
    gamma: float,
    alpha: float,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 1_000_000,
) -> SoftSolution:
    """Solve max_pi E sum_t gamma^t (r + alpha H(pi(.|s_t))) for a finite decision process.

    Args:
        p: (S, A, S) transition probabilities; what a row lacks to 1 is the probability that the episode terminates.
        r: (S, A) expected rewards.
        gamma: Discount in [0, 1).
        alpha: Temperature; 0 is ordinary value iteration.
        tolerance: Largest error of any value, as far as double precision allows.
        max_iterations: Backups after which to give up.

    Returns:
        Values and policy.

    Raises:
        EnvzooError: Arrays that do not fit together, numbers out of range, or no convergence within `max_iterations`.
    """
    p, r = _check(p, r, gamma, alpha)
    if not tolerance > 0:
        raise EnvzooError(f"tolerance is positive, got {tolerance}")
    v, q, iterations = _iterate(p, r, float(gamma), float(alpha), float(tolerance), int(max_iterations))
    if iterations > max_iterations:
        raise EnvzooError(
            f"soft value iteration did not reach the tolerance {tolerance} within {max_iterations} backups; "
            "allow more or take a smaller gamma"
        )
    return SoftSolution(q, v, soft_policy(q, alpha), iterations)


def _check(p: np.ndarray, r: np.ndarray, gamma: float, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    p, r = np.ascontiguousarray(p, np.float64), np.ascontiguousarray(r, np.float64)
    if r.ndim != 2 or p.shape != (*r.shape, r.shape[0]):
        raise EnvzooError(f"p and r have the shapes {p.shape} and {r.shape}, expected (S, A, S) and (S, A)")
    if not np.isfinite(r).all() or not (p >= 0).all() or not (p.sum(axis=-1) <= 1 + 1e-9).all():
        raise EnvzooError("p holds probabilities whose sum over next states is at most 1, and r finite rewards")
    if not 0 <= gamma < 1:
        raise EnvzooError(f"gamma lies in [0, 1), got {gamma}")
    if not (alpha >= 0 and np.isfinite(alpha)):
        raise EnvzooError(f"alpha is a finite number of at least 0, got {alpha}")
    return p, r
