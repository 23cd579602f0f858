"""How hard an off-policy evaluation is: incompleteness and concentrability of a problem whose model is known.

With (s, a) ~ mu, T the Bellman operator of the target policy and ||.|| the norm of mu, a class is beta-incomplete if
inf_g ||g - T f|| <= beta ||f - T f|| for all of its functions f (Zanette, arXiv 2211.05311).
"""

from __future__ import annotations

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.offline.planning import policy_action_values
from envzoo.tabular import FiniteMDP

CLOSE = 1e-8


def _pairs(model: FiniteMDP, policy: np.ndarray, mu: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Check policy and mu; return the transitions between state-action pairs, (SA, SA), and mu as (SA,)."""
    policy = np.asarray(policy, np.float64)
    if policy.shape != model.r.shape or (policy < 0).any() or not np.allclose(policy.sum(axis=1), 1):
        raise EnvzooError(f"policy has the shape {policy.shape}; expected probabilities {model.r.shape}, summing to 1")
    if mu is not None:
        mu = np.asarray(mu, np.float64)
        if mu.shape != model.r.shape or (mu < 0).any() or not np.isclose(mu.sum(), 1):
            raise EnvzooError(f"mu has the shape {mu.shape}; expected probabilities {model.r.shape} that sum to 1")
        mu = mu.reshape(-1)
    size = model.r.size
    return (model.p[..., None] * policy).reshape(size, size), mu


def bellman_error(
    model: FiniteMDP, phi: np.ndarray, mu: np.ndarray, policy: np.ndarray, theta: np.ndarray
) -> np.ndarray:
    """Compute ||f - T f|| of linear functions f = phi^T theta, (...,).

    Args:
        model: The world, with its discount.
        phi: (S, A, d) features.
        mu: (S, A) law of the data.
        policy: (S, A) target policy.
        theta: (..., d) weights.
    """
    p, weights = _pairs(model, policy, mu)
    change = (np.eye(len(p)) - model.gamma * p) @ np.asarray(phi, np.float64).reshape(len(p), -1)
    residual = np.asarray(theta, np.float64) @ change.T - model.r.reshape(-1)
    return np.sqrt((residual**2 * weights).sum(axis=-1))


def bellman_incompleteness(model: FiniteMDP, phi: np.ndarray, mu: np.ndarray, policy: np.ndarray) -> float:
    """Compute the smallest beta for which the linear class of `phi` is beta-incomplete.

    The class contains Q^pi, so f - T f = (I - gamma P) h with h = f - Q^pi in the class, and what is nearest to T f in
    the class leaves the part of (I - gamma P) h that is orthogonal to the class. Equivalently, 1 - beta^2 is the
    smallest generalised eigenvalue of (A^T S^-1 A, M), with M the Gram matrix of (I - gamma P) phi. Use the population
    model: with samples 1 - beta^2 would be overestimated.

    Args:
        model: The world, with its discount.
        phi: (S, A, d) features.
        mu: (S, A) law of the data.
        policy: (S, A) target policy.

    Returns:
        beta in [0, 1].

    Raises:
        EnvzooError: The class does not contain Q^pi, or policy or mu are not usable.
    """
    p, weights = _pairs(model, policy, mu)
    phi = np.asarray(phi, np.float64).reshape(len(p), -1)
    q = policy_action_values(model, np.asarray(policy, np.float64)).reshape(-1)
    fitted = phi @ np.linalg.lstsq(phi, q, rcond=None)[0]
    if np.abs(fitted - q).max() > CLOSE * (1 + np.abs(q).max()):
        raise EnvzooError("the linear class of these features does not contain the action values of the policy")
    root = np.sqrt(weights)[:, None]
    # An orthonormal basis of the class turns S into the identity, also where features depend on each other.
    u, values, vt = np.linalg.svd(root * phi, full_matrices=False)
    rank = int((values > CLOSE * values.max()).sum())
    basis = phi @ (vt[:rank].T / values[:rank])
    change = root * ((np.eye(len(p)) - model.gamma * p) @ basis)
    # beta is the sine of the largest angle between the functions (I - gamma P) h and the class; those of norm 0, which
    # have no Bellman error, are left out.
    directions, sizes, _ = np.linalg.svd(change, full_matrices=False)
    directions = directions[:, sizes > CLOSE * sizes.max()]
    within = u[:, :rank]
    outside = directions - within @ (within.T @ directions)
    return float(min(1.0, np.linalg.norm(outside, ord=2)))


def discounted_occupancy(model: FiniteMDP, policy: np.ndarray) -> np.ndarray:
    """Compute the discounted occupancy (1 - gamma) sum_t gamma^t P(s_t = s, a_t = a) of a policy, (S, A)."""
    if model.gamma == 1:
        raise EnvzooError("the discounted occupancy needs a discount factor below 1")
    p, _ = _pairs(model, policy, None)
    first = (model.initial[:, None] * np.asarray(policy, np.float64)).reshape(-1)
    occupancy = np.linalg.solve(np.eye(len(p)) - model.gamma * p.T, (1 - model.gamma) * first)
    return occupancy.reshape(model.r.shape)


def concentrability(model: FiniteMDP, policy: np.ndarray, mu: np.ndarray) -> float:
    """Compute the largest ratio of the policy's discounted occupancy to mu; infinite where mu does not cover it."""
    _, weights = _pairs(model, policy, mu)
    occupancy = discounted_occupancy(model, policy).reshape(-1)
    visited = occupancy > 1e-15
    with np.errstate(divide="ignore"):
        return float((occupancy[visited] / weights[visited]).max())
