"""Off-policy evaluation with linear value functions f = phi^T theta (Zanette, arXiv 2211.05311; derivations there).

A sample holds the features `phi` (..., n, d) of n state-action pairs, their rewards (..., n), and `next_phi`
(..., n, d), the features of the next state averaged over the target policy's actions, zero where the episode
terminated. Leading dimensions are independent samples that are solved together. With

    l(g, f) = 1/n sum_i (g_i - r_i - gamma f'_i)^2
    A = 1/n sum_i phi_i (phi_i - gamma phi'_i)^T,    b = 1/n sum_i phi_i r_i,    S = 1/n sum_i phi_i phi_i^T

the minimax objective l(f, f) - min_g l(g, f) equals ||A theta - b||^2 in the norm of S^-1, so its minimiser is the
least-squares temporal-difference solution A^-1 b.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError

ILL_CONDITIONED = 1e8


class Moments(NamedTuple):
    """A (..., d, d), b (..., d), S (..., d, d) and C = 1/n sum_i phi_i phi'_i^T (..., d, d); see the module."""

    a: np.ndarray
    b: np.ndarray
    s: np.ndarray
    c: np.ndarray


def check_discount(gamma: float) -> float:
    """Return a discount factor in [0, 1]; raises EnvzooError for another value."""
    if not isinstance(gamma, int | float | np.number) or isinstance(gamma, bool) or not 0 <= gamma <= 1:
        raise EnvzooError(f"gamma is {gamma!r}; expected a number in [0, 1]")
    return float(gamma)


def moments(phi: np.ndarray, rewards: np.ndarray, next_phi: np.ndarray, gamma: float) -> Moments:
    """Compute A, b, S and C of a sample (see the module).

    Raises:
        EnvzooError: Arrays that do not fit together or hold numbers that are not finite, or a gamma outside [0, 1].
    """
    phi, rewards, next_phi = (np.asarray(x, np.float64) for x in (phi, rewards, next_phi))
    check_discount(gamma)
    if phi.ndim < 2 or phi.shape != next_phi.shape or phi.shape[:-1] != rewards.shape or 0 in phi.shape:
        raise EnvzooError(
            f"phi, rewards and next_phi have the shapes {phi.shape}, {rewards.shape} and {next_phi.shape}; expected "
            "(..., n, d), (..., n) and (..., n, d)"
        )
    for name, values in (("phi", phi), ("rewards", rewards), ("next_phi", next_phi)):
        if not np.isfinite(values).all():
            raise EnvzooError(f"{name} holds NaN or infinite numbers; expected finite ones")
    transposed, n = np.swapaxes(phi, -1, -2), phi.shape[-2]
    s, c = transposed @ phi / n, transposed @ next_phi / n
    return Moments(s - gamma * c, (transposed @ rewards[..., None])[..., 0] / n, s, c)


def _solve(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return np.linalg.solve(matrix, vector[..., None])[..., 0]


def _inverse(s: np.ndarray) -> np.ndarray:
    """Compute the pseudoinverse of S: the inverse unless features depend on each other."""
    return np.linalg.pinv(s, hermitian=True)


def lstd(phi: np.ndarray, rewards: np.ndarray, next_phi: np.ndarray, gamma: float) -> np.ndarray:
    """Compute the LSTD weights A^-1 b, (..., d): the minimiser of the minimax objective over a linear class.

    Warns (RuntimeWarning) where A is nearly singular, because the weights are then mostly noise.

    Raises:
        EnvzooError: See `moments`; or A is singular.
    """
    m = moments(phi, rewards, next_phi, gamma)
    condition = np.linalg.cond(m.a)
    if not np.isfinite(condition).all() or (condition > 1 / np.finfo(float).eps).any():
        raise EnvzooError("the matrix of LSTD is singular; use fewer features, more data or another discount factor")
    if (condition > ILL_CONDITIONED).any():
        warnings.warn(
            f"the matrix of LSTD is nearly singular (condition number {condition.max():.1g})", RuntimeWarning, 2
        )
    return _solve(m.a, m.b)


def bracket(theta: np.ndarray, m: Moments) -> np.ndarray:
    """Compute the minimax objective l(f, f) - min_g l(g, f) = ||A theta - b||^2 in the norm of S^-1, (...,)."""
    residual = (m.a @ np.asarray(theta, np.float64)[..., None])[..., 0] - m.b
    return (residual * (_inverse(m.s) @ residual[..., None])[..., 0]).sum(axis=-1)


class Iterates(NamedTuple):
    """Result of an iteration: weights (..., d), and whether they changed by at most the tolerance at the end (...,)."""

    theta: np.ndarray
    converged: np.ndarray


def fqe(
    phi: np.ndarray,
    rewards: np.ndarray,
    next_phi: np.ndarray,
    gamma: float,
    *,
    iterations: int = 2000,
    initial: np.ndarray | None = None,
    tolerance: float = 1e-12,
) -> Iterates:
    """Run fitted Q evaluation, f <- argmin_g l(g, f), that is theta <- S^-1 (b + gamma C theta).

    Where it converges it gives the LSTD solution; it diverges where S^-1 gamma C has an eigenvalue above 1 in modulus.

    Args:
        phi: (..., n, d).
        rewards: (..., n).
        next_phi: (..., n, d).
        gamma: Discount factor.
        iterations: Largest number of backups.
        initial: (d,) or (..., d) first weights; None for zeros.
        tolerance: A change of at most this times 1 + |theta| counts as converged.
    """
    m = moments(phi, rewards, next_phi, gamma)
    inverse = _inverse(m.s)
    matrix, offset = gamma * inverse @ m.c, (inverse @ m.b[..., None])[..., 0]
    theta = np.broadcast_to(0.0 if initial is None else np.asarray(initial, np.float64), m.b.shape)
    converged = np.zeros(m.b.shape[:-1], bool)
    for _ in range(iterations):
        new = offset + (matrix @ theta[..., None])[..., 0]
        converged = np.abs(new - theta).max(axis=-1) <= tolerance * (1 + np.abs(theta).max(axis=-1))
        theta = new
        if converged.all() or not (np.abs(theta) < 1e100).all():
            break
    return Iterates(theta, converged)


@njit(cache=True)
def _td_loop(phi, rewards, next_phi, gamma, step_size, order, theta):
    for i in order:
        error = rewards[i]
        for j in range(theta.size):
            error += (gamma * next_phi[i, j] - phi[i, j]) * theta[j]
        for j in range(theta.size):
            theta[j] += step_size * error * phi[i, j]
    return theta


def td0(
    phi: np.ndarray,
    rewards: np.ndarray,
    next_phi: np.ndarray,
    gamma: float,
    *,
    step_size: float,
    steps: int,
    generator: np.random.Generator | None = None,
    initial: np.ndarray | None = None,
) -> np.ndarray:
    """Run temporal-difference learning, theta <- theta + step_size (r + gamma phi'^T theta - phi^T theta) phi.

    Args:
        phi: (n, d), one sample.
        rewards: (n,).
        next_phi: (n, d).
        gamma: Discount factor.
        step_size: Step size.
        steps: Number of updates.
        generator: Draws a row for each update; None makes expected updates, theta <- theta + step_size (b - A theta).
        initial: (d,) first weights; None for zeros.

    Returns:
        (d,) weights. They may be huge: off-policy temporal differences can diverge.
    """
    m = moments(phi, rewards, next_phi, gamma)
    if m.b.ndim != 1:
        raise EnvzooError("td0 takes one sample, phi (n, d)")
    theta = np.zeros(m.b.shape) if initial is None else np.array(initial, np.float64)
    if generator is not None:
        order = generator.integers(len(rewards), size=steps)
        arrays = (np.ascontiguousarray(x, np.float64) for x in (phi, rewards, next_phi))
        return _td_loop(*arrays, float(gamma), float(step_size), order, theta)
    for _ in range(steps):
        theta = theta + step_size * (m.b - m.a @ theta)
        if not (np.abs(theta) < 1e100).all():
            break
    return theta


def minimise_residual(phi: np.ndarray, rewards: np.ndarray, next_phi: np.ndarray, gamma: float) -> np.ndarray:
    """Compute argmin_f l(f, f), (..., d): the naive residual minimiser, biased where transitions are random."""
    moments(phi, rewards, next_phi, gamma)  # the checks
    change = np.asarray(phi, np.float64) - gamma * np.asarray(next_phi, np.float64)
    transposed = np.swapaxes(change, -1, -2)
    return _solve(transposed @ change, (transposed @ np.asarray(rewards, np.float64)[..., None])[..., 0])
