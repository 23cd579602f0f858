"""Planners for many finite worlds, or many policies of one, at once: optima, values, visits and gradients.

Worlds, rewards, discounts, temperatures and policies have any leading dimensions, which are broadcast against each
other: rewards (seeds, S, A) with one table (S, A, S), or 50 worlds (50, S, A, S) with 7 discounts (7, 1). For a finite
horizon see `backward_induction`, which is batched, too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from envzoo.agents.planners.tabular.optimum import TIE, tie_set
from envzoo.errors import EnvzooError
from envzoo.tabular.arrays import TOLERANCE, check_laws
from envzoo.tabular.backups import soft_iteration, soft_policy

SMALLEST = 1e-12  # gain of an action, relative to values, below which a policy is not changed


class Optima(NamedTuple):
    """Optimal values of worlds, soft ones where the temperature is positive.

    Attributes:
        v: (..., S) values.
        q: (..., S, A) action values.
        policy: (..., S, A) optimal policies; at temperature 0 uniform over all actions that attain the maximum.
        ties: (..., S, A) bool, the actions whose value is within `TIE` of the best.
        iterations: (...,) sweeps, or improvements of the policy.
    """

    v: np.ndarray
    q: np.ndarray
    policy: np.ndarray
    ties: np.ndarray
    iterations: np.ndarray


def _worlds(p: Any, r: Any, gamma: Any, alpha: Any = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return p (..., S, A, S), r (..., S, A), gamma and alpha (...,) with the leading dimensions of all of them."""
    p, r, gamma, alpha = (np.asarray(values, np.float64) for values in (p, r, gamma, alpha))
    if p.ndim < 3 or r.ndim < 2 or 0 in p.shape or p.shape[-1] != p.shape[-3] or p.shape[-3:-1] != r.shape[-2:]:
        raise EnvzooError(f"p and r have the shapes {p.shape} and {r.shape}, expected (..., S, A, S) and (..., S, A)")
    if not ((p >= 0).all() and (p.sum(axis=-1) <= 1 + TOLERANCE).all()):
        raise EnvzooError("p is not usable; expected probabilities whose sum over next states is at most 1")
    if np.isnan(r).any() or (r == np.inf).any() or np.isneginf(r).all(axis=-1).any():
        raise EnvzooError(
            "r is not usable; expected finite rewards, -inf for unavailable actions, one of them available"
        )
    if not ((gamma >= 0) & (gamma < 1)).all():
        raise EnvzooError(f"gamma lies in [0, 1), got {gamma.tolist()}")
    if not ((alpha >= 0) & np.isfinite(alpha)).all():
        raise EnvzooError(f"alpha is a finite number of at least 0, got {alpha.tolist()}")
    try:
        batch = np.broadcast_shapes(p.shape[:-3], r.shape[:-2], gamma.shape, alpha.shape)
    except ValueError:
        raise EnvzooError(
            f"the leading dimensions of p, r, gamma and alpha are {p.shape[:-3]}, {r.shape[:-2]}, {gamma.shape} and "
            f"{alpha.shape}, which do not fit together"
        ) from None
    return (
        np.broadcast_to(p, (*batch, *p.shape[-3:])),
        np.broadcast_to(r, (*batch, *r.shape[-2:])),
        np.broadcast_to(gamma, batch),
        np.broadcast_to(alpha, batch),
    )


def _optima(v: np.ndarray, q: np.ndarray, alpha: np.ndarray, iterations: np.ndarray) -> Optima:
    ties = tie_set(q)
    hard = ties / ties.sum(axis=-1, keepdims=True)
    policy = np.where(alpha[..., None, None] == 0, hard, _soften(q, alpha))
    return Optima(v, q, policy, ties, iterations)


def _warm(alpha: np.ndarray) -> np.ndarray:
    """Return temperatures (...,) as (..., 1, 1), with 1 in place of 0, whose results are not used."""
    return np.where(alpha > 0, alpha, 1.0)[..., None, None]


def _soften(q: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Compute softmax(q / alpha) of action values (..., S, A) at temperatures (...,)."""
    return soft_policy(q / _warm(alpha), 1.0)


def _maximum(q: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Compute alpha logsumexp(q / alpha), (..., S), the maximum where alpha is 0."""
    top, warm = q.max(axis=-1), _warm(alpha)
    soft = top + warm[..., 0] * np.log(np.exp((q - top[..., None]) / warm).sum(axis=-1))
    return np.where(alpha[..., None] > 0, soft, top)


@njit(cache=True)
def _iterate_all(p, which_p, r, which_r, gamma, alpha, tolerance, limit, v, q, iterations):
    for world in range(len(gamma)):
        v[world], q[world], iterations[world] = soft_iteration(
            p[which_p[world]], r[which_r[world]], gamma[world], alpha[world], tolerance, limit
        )


def _numbered(table: np.ndarray, batch: tuple[int, ...], inner: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the different tables (n, ...), and which one each world has: a broadcast table is not copied."""
    own = tuple(1 if step == 0 else size for size, step in zip(batch, table.strides, strict=False))
    kept = np.ascontiguousarray(table[tuple(slice(0, size) for size in own)])
    which = np.broadcast_to(np.arange(int(np.prod(own))).reshape(own), batch)
    return kept.reshape(-1, *table.shape[-inner:]), np.ascontiguousarray(which).ravel()


def iterate_values(
    p: Any, r: Any, gamma: Any, *, alpha: Any = 0.0, tolerance: float = 1e-12, max_iterations: int = 1_000_000
) -> Optima:
    """Solve worlds by value iteration; each result is, to the last bit, that of the world alone.

    Args:
        p: (..., S, A, S) transition probabilities; what a row lacks to 1 ends the episode.
        r: (..., S, A) expected rewards, -inf for actions that are not available.
        gamma: (...,) discounts below 1.
        alpha: (...,) temperatures; above 0 the values are alpha logsumexp(q / alpha).
        tolerance: Largest error of a value.
        max_iterations: Number of sweeps after which to give up.

    Raises:
        EnvzooError: Numbers out of range, dimensions that do not fit together, or no convergence.
    """
    p, r, gamma, alpha = _worlds(p, r, gamma, alpha)
    if not 0 < 2 * tolerance < TIE:
        raise EnvzooError(
            f"tolerance is {tolerance:g}; expected a positive number below half of {TIE:g}, or ties are lost"
        )
    batch, shape = gamma.shape, r.shape[-2:]
    count = int(np.prod(batch))
    v, q, iterations = np.empty((count, shape[0])), np.empty((count, *shape)), np.empty(count, np.int64)
    parts = (*_numbered(p, batch, 3), *_numbered(r, batch, 2), gamma.ravel(), alpha.ravel())
    _iterate_all(*parts, float(tolerance), int(max_iterations), v, q, iterations)
    if (iterations > max_iterations).any():
        world = np.unravel_index(int((iterations > max_iterations).argmax()), batch)
        raise EnvzooError(
            f"world {tuple(map(int, world))} did not reach the tolerance {tolerance} within {max_iterations} sweeps; "
            "allow more or take a smaller gamma"
        )
    return _optima(v.reshape(*batch, shape[0]), q.reshape(*batch, *shape), alpha, iterations.reshape(batch))


def iterate_policies(p: Any, r: Any, gamma: Any, *, alpha: Any = 0.0, max_iterations: int = 10_000) -> Optima:
    """Solve worlds by policy iteration with exact evaluation: Howard's, or at positive temperature the soft one.

    The soft improvement is softmax(q / alpha), and the evaluation counts alpha times the entropy as reward; values grow
    with each improvement. The search ends, for each world by itself, when no value gains more than rounding.

    Args:
        p: As in `iterate_values`.
        r: As in `iterate_values`.
        gamma: As in `iterate_values`.
        alpha: As in `iterate_values`.
        max_iterations: Number of improvements after which to give up.

    Raises:
        EnvzooError: As in `iterate_values`.
    """
    p, r, gamma, alpha = _worlds(p, r, gamma, alpha)
    batch, (states, actions) = gamma.shape, r.shape[-2:]
    p, r = p.reshape(-1, states, actions, states), r.reshape(-1, states, actions)
    gamma, alpha = gamma.ravel(), alpha.ravel()
    policy, q, iterations = np.eye(actions)[r.argmax(axis=-1)], np.empty(r.shape), np.zeros(len(gamma), np.int64)
    now = np.arange(len(gamma))
    for iteration in range(1, max_iterations + 1):
        v, q[now] = _evaluate(p[now], r[now], gamma[now], policy[now], alpha[now])
        policy[now], gains = _improve(q[now], v, policy[now], alpha[now])
        iterations[now] = iteration
        now = now[gains]
        if not len(now):
            q = q.reshape(*batch, states, actions)
            alpha = alpha.reshape(batch)
            return _optima(_maximum(q, alpha), q, alpha, iterations.reshape(batch))
    raise EnvzooError(f"policy iteration did not end within {max_iterations} improvements")


def _improve(q: np.ndarray, v: np.ndarray, policy: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return better policies (n, S, A), and which worlds (n,) gain by them."""
    # A switch must gain more than rounding, so that ties do not go on for ever.
    least = SMALLEST * np.maximum(1.0, np.abs(v))
    own, best = policy.argmax(axis=-1), q.argmax(axis=-1)
    gain = np.where(alpha[:, None] > 0, _maximum(q, alpha) - v, q.max(axis=-1) - _pick(q, own))
    hard = np.eye(q.shape[-1])[np.where(gain > least, best, own)]
    return np.where(alpha[:, None, None] > 0, _soften(q, alpha), hard), (gain > least).any(axis=-1)


def _pick(q: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return np.take_along_axis(q, chosen[..., None], axis=-1)[..., 0]


def _check_policies(policy: Any, shape: tuple[int, ...]) -> np.ndarray:
    given = np.asarray(policy)
    if given.shape[-1:] == shape[:1] and given.dtype.kind in "iu" and given.shape[-2:] != shape:
        if not ((given >= 0) & (given < shape[1])).all():
            raise EnvzooError(f"the policies have actions out of range; expected 0 to {shape[1] - 1}")
        return np.eye(shape[1])[given]
    if given.shape[-2:] != shape or given.dtype.kind not in "fiub":
        raise EnvzooError(f"the policies have the shape {given.shape}; expected (..., {shape[0]}, {shape[1]})")
    return check_laws("policy", given.astype(np.float64))


def _evaluate(
    p: np.ndarray, r: np.ndarray, gamma: np.ndarray, pi: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.where(pi > 0, -np.log(pi), 0.0)
    rewards = (pi * (np.where(np.isneginf(r), 0.0, r) + alpha[..., None, None] * information)).sum(axis=-1)
    v = np.linalg.solve(_leaving(p, gamma, pi), rewards[..., None])[..., 0]
    return v, r + gamma[..., None, None] * (p @ v[..., None, :, None])[..., 0]


def _leaving(p: np.ndarray, gamma: np.ndarray, pi: np.ndarray) -> np.ndarray:
    """Return I - gamma P under the policies, (..., S, S)."""
    moves = (pi[..., None, :] @ p)[..., 0, :]
    return np.eye(p.shape[-1]) - gamma[..., None, None] * moves


def evaluate_policies(p: Any, r: Any, gamma: Any, policy: Any, *, alpha: Any = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Compute the values (..., S) and action values (..., S, A) of policies, by linear solves.

    Args:
        p: As in `iterate_values`.
        r: As in `iterate_values`.
        gamma: As in `iterate_values`.
        policy: (..., S, A) probabilities, or (..., S) actions.
        alpha: (...,) weight of the policy's entropy in the reward.

    Raises:
        EnvzooError: Numbers out of range, or a policy that takes an action that is not available.
    """
    p, r, gamma, alpha = _worlds(p, r, gamma, alpha)
    pi = _check_policies(policy, r.shape[-2:])
    if (pi * np.isneginf(r)).any():
        raise EnvzooError("a policy takes an action that is not available")
    return _evaluate(p, r, gamma, pi, alpha)


def visits(p: Any, initial: Any, gamma: Any, policy: Any) -> np.ndarray:
    """Compute the occupancy measures (..., S, A) of policies: (1 - gamma) times the discounted expected visits.

    Args:
        p: (..., S, A, S) transition probabilities.
        initial: (..., S) laws of the first state.
        gamma: (...,) discounts below 1.
        policy: (..., S, A) probabilities, or (..., S) actions.

    Raises:
        EnvzooError: As in `evaluate_policies`, or a row of `initial` is no law.
    """
    p = np.asarray(p, np.float64)
    p, _, gamma, _ = _worlds(p, np.zeros(p.shape[-3:-1] if p.ndim > 2 else ()), gamma)
    pi, initial = _check_policies(policy, p.shape[-3:-1]), np.asarray(initial, np.float64)
    if initial.shape[-1:] != p.shape[-1:]:
        raise EnvzooError(f"initial has the shape {initial.shape}; expected (..., {p.shape[-1]})")
    check_laws("initial", initial)
    matrix = np.swapaxes(_leaving(p, gamma, pi), -1, -2)
    right = np.broadcast_to(initial, (*np.broadcast_shapes(initial.shape[:-1], matrix.shape[:-2]), p.shape[-1]))
    found = np.linalg.solve(matrix, right[..., None])[..., 0]
    return (1 - gamma[..., None, None]) * found[..., None] * pi


def policy_gradients(p: Any, r: Any, initial: Any, gamma: Any, logits: Any) -> tuple[np.ndarray, np.ndarray]:
    """Compute the values (...,) of softmax policies of logits (..., S, A) from the start, and their exact gradients.

    dJ / dlogits(s, a) = d(s, a) (Q(s, a) - V(s)), with d the discounted number of visits (Sutton et al., 2000).
    """
    r, logits = np.asarray(r, np.float64), np.asarray(logits, np.float64)
    if logits.shape[-2:] != r.shape[-2:] or not np.isfinite(logits).all():
        raise EnvzooError(f"logits have the shape {logits.shape}; expected finite numbers (..., {r.shape[-2:]})")
    pi = soft_policy(np.where(np.isneginf(r), -np.inf, logits), 1.0)
    v, q = evaluate_policies(p, r, gamma, pi)
    share = visits(p, initial, gamma, pi) / (1 - np.asarray(gamma, np.float64)[..., None, None])
    return (np.asarray(initial) * v).sum(axis=-1), np.where(pi > 0, share * (q - v[..., None]), 0.0)
