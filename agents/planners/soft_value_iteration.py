"""Soft value iteration: exact maximum-entropy solutions of finite decision processes (arXiv 1812.05905, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP, backups, soft_policy

__all__ = ["SoftSolution", "soft_backup", "soft_policy", "soft_value_iteration", "solve"]


@dataclass(frozen=True)
class SoftSolution:
    """Result of soft value iteration.

    Attributes:
        q: (S, A) soft action values.
        v: (S,) soft values, alpha logsumexp(q / alpha), or the largest q if alpha is 0.
        policy: (S, A) the optimal policy, softmax(q / alpha); uniform over the best actions if alpha is 0.
        iterations: Number of backups.
    """

    q: np.ndarray
    v: np.ndarray
    policy: np.ndarray
    iterations: int


def soft_backup(p: np.ndarray, r: np.ndarray, v: np.ndarray, gamma: float, alpha: float) -> np.ndarray:
    """Apply the soft optimality backup once: (T v)(s) = alpha log sum_a exp((r + gamma P v)(s, a) / alpha).

    It is a gamma-contraction in the maximum norm.

    Args:
        p: (S, A, S) transition probabilities.
        r: (S, A) expected rewards.
        v: (S,) values.
        gamma: Discount factor.
        alpha: Temperature, 0 for the hard maximum.

    Returns:
        (S,).

    Raises:
        EnvzooError: Arrays of inconsistent shapes, or numbers out of range.
    """
    model = _check(p, r, gamma, alpha)
    v = np.ascontiguousarray(v, np.float64)
    if v.shape != (model.num_states,):
        raise EnvzooError(f"v has the shape {v.shape}, expected {(model.num_states,)}")
    return backups.soft_backup(model.p, model.r, model.gamma, float(alpha), v, np.empty(model.r.shape))


def soft_value_iteration(
    p: np.ndarray,
    r: np.ndarray,
    gamma: float,
    alpha: float,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 1_000_000,
) -> SoftSolution:
    """Solve max_pi E[sum_t gamma^t (r_t + alpha H(pi(.|s_t)))] for a finite decision process.

    Args:
        p: (S, A, S) transition probabilities; if a row sums to less than 1, the rest is the probability of termination.
        r: (S, A) expected rewards.
        gamma: Discount factor in [0, 1).
        alpha: Temperature; 0 is ordinary value iteration.
        tolerance: Maximum error of any value, as far as double precision allows.
        max_iterations: Maximum number of backups.

    Returns:
        Values and policy.

    Raises:
        EnvzooError: Arrays of inconsistent shapes, numbers out of range, or no convergence within `max_iterations`.
    """
    model = _check(p, r, gamma, alpha)
    return solve(model, alpha, tolerance=tolerance, max_iterations=max_iterations)


def solve(model: FiniteMDP, alpha: float, *, tolerance: float = 1e-10, max_iterations: int = 1_000_000) -> SoftSolution:
    """Solve a finite decision process, such as `envzoo.tabular.find_model(env)`, by soft value iteration.

    Arguments, result and errors are those of `soft_value_iteration`; unavailable actions get probability 0.
    """
    if not model.gamma < 1:
        raise EnvzooError(f"gamma lies in [0, 1), got {model.gamma}")
    if not (alpha >= 0 and np.isfinite(alpha)):
        raise EnvzooError(f"alpha is a finite number of at least 0, got {alpha}")
    if not tolerance > 0:
        raise EnvzooError(f"tolerance is positive, got {tolerance}")
    v, q, iterations = backups.soft_iteration(
        model.p, model.r, model.gamma, float(alpha), float(tolerance), int(max_iterations)
    )
    if iterations > max_iterations:
        raise EnvzooError(
            f"soft value iteration did not reach the tolerance {tolerance} within {max_iterations} backups; "
            "allow more or take a smaller gamma"
        )
    return SoftSolution(q, v, soft_policy(q, alpha), iterations)


def _check(p: np.ndarray, r: np.ndarray, gamma: float, alpha: float) -> FiniteMDP:
    model = FiniteMDP(p, r, gamma)
    if not np.isfinite(model.r).all():
        raise EnvzooError("r holds infinite rewards; expected finite ones")
    if not model.gamma < 1:
        raise EnvzooError(f"gamma lies in [0, 1), got {gamma}")
    if not (alpha >= 0 and np.isfinite(alpha)):
        raise EnvzooError(f"alpha is a finite number of at least 0, got {alpha}")
    return model
