"""The map from rewards to optimal policies: where it jumps, and how entropy smooths it (paper 31, arXiv 2507.20150).

Functions without an agent: distances of policies, radii of stability, tie-breakers, and laws of whole routes.
"""

from __future__ import annotations

import numpy as np

from envzoo.agents.planners.soft_value_iteration import solve
from envzoo.agents.planners.tabular.optimum import action_gap, value_iteration
from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP


def policy_tv(pi: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Compute the total-variation distance of two policies (..., A) in every state, (...,)."""
    return 0.5 * np.abs(np.asarray(pi, np.float64) - np.asarray(other, np.float64)).sum(axis=-1)


def change_reward(model: FiniteMDP, extra: np.ndarray) -> FiniteMDP:
    """Return the process with rewards r + extra, extra (S, A)."""
    return FiniteMDP(model.p, model.r + extra, model.gamma, model.initial, model.horizon)


def optimal_policy(model: FiniteMDP, alpha: float = 0.0) -> np.ndarray:
    """Compute the optimal policy (S, A): for alpha 0 uniform over all optimal actions, otherwise the soft one."""
    if alpha == 0:
        return value_iteration(model).policy
    return solve(model, alpha, tolerance=1e-12).policy


def soft_bound(difference: float, alpha: float, gamma: float) -> float:
    """Return the bound on the distance of soft policies: ||R1 - R2|| / (2 alpha (1 - gamma)) (Proposition 4.5)."""
    return difference / (2 * alpha * (1 - gamma))


def argmax_gap_radius(model: FiniteMDP) -> np.ndarray:
    """Compute for every state how much rewards may change in the maximum norm before a new action becomes optimal.

    Values change by at most the change of rewards over 1 - gamma, so that actions outside the optimal set stay outside
    for changes below (1 - gamma) gap / 2 (Lemma 2.2); inf where all actions tie.
    """
    return (1 - model.gamma) * action_gap(value_iteration(model).q) / 2


def break_ties(model: FiniteMDP, style: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the policy that maximises the value of a second reward among the optimal policies of the first.

    It is the optimal policy of r + eps style for every small enough eps (Proposition 3.2).

    Args:
        model: The process, with its reward.
        style: (S, A) second reward.

    Returns:
        The set of actions (S, A) bool, and the values (S,) of the second reward.
    """
    ties = value_iteration(model).ties
    inner = FiniteMDP(model.p, np.where(ties, style, -np.inf), model.gamma, model.initial)
    found = value_iteration(inner)
    return found.ties, found.v


def follow(model: FiniteMDP, policy: np.ndarray, steps: int) -> np.ndarray:
    """Compute the law (S,) of the state after some steps of a policy (S, A); ended episodes drop out."""
    moves, law = np.einsum("sa,sat->st", policy, model.p), model.initial
    for _ in range(steps):
        law = law @ moves
    return law


def route_tv(model: FiniteMDP, pi: np.ndarray, other: np.ndarray, steps: int) -> float:
    """Compute the total-variation distance of the laws of whole routes of a deterministic world.

    Args:
        model: A process whose moves are deterministic.
        pi: (S, A) policy.
        other: (S, A) policy.
        steps: Length of a route; there may be A^steps.

    Raises:
        EnvzooError: A move is random.
    """
    if not np.isin(model.p, (0.0, 1.0)).all():
        raise EnvzooError("routes are compared in worlds with deterministic moves; a move of this one is random")
    # Routes that come to one state are not the same, so that the two probabilities of each are carried along.
    routes = [(float(p), float(p), s) for s, p in enumerate(model.initial) if p > 0]
    following = model.p.argmax(axis=-1)
    for _ in range(steps):
        routes = [
            (p * pi[s, a], q * other[s, a], int(following[s, a]))
            for p, q, s in routes
            for a in range(model.num_actions)
            if p * pi[s, a] > 0 or q * other[s, a] > 0
        ]
    return 0.5 * sum(abs(p - q) for p, q, _ in routes)


def best_arms(rewards: np.ndarray, weights: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """Mark the best arms (n, A) of the mixtures weights (n, K) @ rewards (K, A)."""
    mixed = np.asarray(weights, np.float64) @ np.asarray(rewards, np.float64)
    return mixed >= mixed.max(axis=1, keepdims=True) - tolerance
