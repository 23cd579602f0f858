"""Soft value iteration: exact maximum-entropy solutions of finite decision processes (arXiv 1812.05905, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP, backups, soft_policy

__all__ = ["SoftSolution", "soft_backup", "soft_policy", "soft_value_iteration", "solve"]


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
    """Apply the soft optimality backup once: (T v)(s) = alpha log sum_a exp((r + gamma P v)(s, a) / alpha).

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
    model = _check(p, r, gamma, alpha)
    return solve(model, alpha, tolerance=tolerance, max_iterations=max_iterations)


def solve(model: FiniteMDP, alpha: float, *, tolerance: float = 1e-10, max_iterations: int = 1_000_000) -> SoftSolution:
    """Solve a finite decision process, such as `envzoo.tabular.find_model(env)` gives, by soft value iteration.

    Arguments, result and errors are those of `soft_value_iteration`; actions that are not available get probability 0.
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
