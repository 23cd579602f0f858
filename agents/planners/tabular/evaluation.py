"""Exact policy evaluation, occupancy measures and policy gradients of finite processes."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP

SINGULAR = "episodes under this policy need not end, so that its values are not finite; expected gamma below 1"


def check_policy(model: FiniteMDP, policy: Any) -> np.ndarray:
    """Return a policy as probabilities (S, A), from those or from one action per state (S,).

    Raises:
        EnvzooError: It is neither, or takes an action that is not available.
    """
    try:
        given = np.asarray(policy)
    except ValueError:
        given = np.empty(0, object)
    shape = model.r.shape
    if given.shape == shape[:1] and given.dtype.kind in "iu":
        if not ((given >= 0) & (given < shape[1])).all():
            raise EnvzooError(f"the policy has actions out of range; expected 0 to {shape[1] - 1}")
        given = np.eye(shape[1])[given]
    if given.shape != shape or given.dtype.kind not in "fiub":
        raise EnvzooError(f"the policy has the shape {given.shape}; expected {shape}, or ({shape[0]},) actions")
    given = given.astype(np.float64)
    if not (given >= 0).all() or not (np.abs(given.sum(axis=1) - 1) <= 1e-8).all():
        raise EnvzooError("the policy is not usable; expected probabilities that sum to 1 in every state")
    if given[~model.available].any():
        raise EnvzooError("the policy takes an action that is not available")
    return given


def induced_chain(model: FiniteMDP, policy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Compute transitions (S, S) and expected rewards (S,) of the Markov chain under a policy."""
    pi = check_policy(model, policy)
    if np.ndim(policy) == 1:  # reads one row per state in place of all
        rows = (np.arange(model.num_states), np.asarray(policy))
        return model.p[rows], model.r[rows]
    return np.einsum("sa,sat->st", pi, model.p), (pi * np.where(model.available, model.r, 0.0)).sum(axis=1)


def evaluate_policy(model: FiniteMDP, policy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Compute the values (S,) and action values (S, A) of a policy in a discounted process, by a linear solve.

    Raises:
        EnvzooError: Not a policy, or with gamma 1 one whose episodes need not end.
    """
    moves, rewards = induced_chain(model, policy)
    v = _solve(np.eye(model.num_states) - model.gamma * moves, rewards)
    return v, model.r + model.gamma * model.p @ v


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    try:
        found = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        raise EnvzooError(SINGULAR) from None
    # A matrix that is singular up to rounding gives numbers without meaning.
    if not np.isfinite(found).all() or np.abs(matrix @ found - right).max() > 1e-6 * max(1.0, np.abs(right).max()):
        raise EnvzooError(SINGULAR)
    return found


def policy_value(model: FiniteMDP, policy: Any) -> float:
    """Compute the expected return of a policy from the initial law: discounted, or over the horizon if there is one."""
    if model.horizon is None:
        return float(model.initial @ evaluate_policy(model, policy)[0])
    pi = np.asarray(policy)
    layers = pi if pi.ndim == 3 else np.broadcast_to(check_policy(model, policy), (model.horizon, *model.r.shape))
    return float(model.initial @ evaluate_layers(model, layers)[0])


def evaluate_layers(model: FiniteMDP, policy: np.ndarray) -> np.ndarray:
    """Compute the values (H + 1, S) of a time-dependent policy (H, S, A), backwards; the last row is 0."""
    steps = len(policy)
    v = np.zeros((steps + 1, model.num_states))
    rewards = np.where(model.available, model.r, 0.0)
    for t in reversed(range(steps)):
        pi = check_policy(model, policy[t])
        v[t] = (pi * (rewards + model.gamma * model.p @ v[t + 1])).sum(axis=1)
    return v


def occupancy(model: FiniteMDP, policy: Any) -> np.ndarray:
    """Compute the occupancy measure of a policy.

    Returns:
        Without horizon (S, A): (1 - gamma) times the discounted expected number of visits (for gamma 1 the number of
        visits itself). With a horizon (H, S, A): the probability of state and action at each step, undiscounted.
    """
    pi = check_policy(model, policy) if np.ndim(policy) < 3 else np.asarray(policy, np.float64)
    if model.horizon is None:
        moves, _ = induced_chain(model, pi)
        visits = _solve(np.eye(model.num_states) - model.gamma * moves.T, model.initial)
        return (1 - model.gamma if model.gamma < 1 else 1.0) * visits[:, None] * pi
    layers = np.broadcast_to(pi, (model.horizon, *model.r.shape))
    found, where = np.zeros(layers.shape), model.initial
    for t, law in enumerate(layers):
        found[t] = where[:, None] * law
        where = np.einsum("sa,sat->t", found[t], model.p)
    return found


def softmax_gradient(model: FiniteMDP, logits: np.ndarray) -> tuple[float, np.ndarray]:
    """Compute the value of the softmax policy of logits (S, A), and its exact gradient (S, A).

    dJ / dlogits(s, a) = d(s) pi(a|s) (Q(s, a) - V(s)), with d the discounted number of visits (Sutton et al., 2000).
    """
    logits = np.asarray(logits, np.float64)
    if logits.shape != model.r.shape or not np.isfinite(logits).all():
        raise EnvzooError(f"logits have the shape {logits.shape}; expected finite numbers of shape {model.r.shape}")
    masked = np.where(model.available, logits, -np.inf)
    pi = np.exp(masked - masked.max(axis=1, keepdims=True))
    pi /= pi.sum(axis=1, keepdims=True)
    v, q = evaluate_policy(model, pi)
    visits = occupancy(model, pi) / (1 - model.gamma if model.gamma < 1 else 1.0)
    advantage = np.where(model.available, q - v[:, None], 0.0)
    return float(model.initial @ v), visits * advantage
