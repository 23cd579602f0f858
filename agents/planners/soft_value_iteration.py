"""Soft value iteration: exact maximum-entropy solutions of finite decision processes (arXiv 1812.05905, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.coding_games import carrier
from envzoo.coding_games.carrier import soft_policy
from envzoo.errors import EnvzooError

__all__ = ["SoftSolution", "soft_backup", "soft_policy", "soft_value_iteration"]


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
    return carrier.soft_backup(p, r, float(gamma), float(alpha), v, np.empty(r.shape))


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
    v, q, iterations = carrier.soft_iteration(p, r, float(gamma), float(alpha), float(tolerance), int(max_iterations))
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
