"""Exact values of finite models over a finite horizon, for reference scores and scripted policies."""

from __future__ import annotations

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP


def optimal_values(model: FiniteMDP, horizon: int) -> np.ndarray:
    """Compute the best undiscounted values for every number of steps that are left.

    Args:
        model: The world; its discount is not used.
        horizon: H, steps of an episode.

    Returns:
        (H + 1, S, A): entry h is the value of an action with h steps left; 0 for h = 0.
    """
    if horizon < 1:
        raise EnvzooError(f"horizon is {horizon!r}; expected a whole number of at least 1")
    q = np.zeros((horizon + 1, *model.r.shape))
    for left in range(1, horizon + 1):
        q[left] = model.r + model.p @ q[left - 1].max(axis=-1)
    return q


def optimal_return(model: FiniteMDP, horizon: int) -> float:
    """Compute the largest expected undiscounted return of an episode of at most `horizon` steps."""
    return float(model.initial @ optimal_values(model, horizon)[horizon].max(axis=-1))


def policy_return(model: FiniteMDP, policy: np.ndarray, horizon: int) -> float:
    """Compute the expected undiscounted return of a policy.

    Args:
        model: The world; its discount is not used.
        policy: (S, A) probabilities.
        horizon: Steps of an episode.
    """
    value = np.zeros(model.num_states)
    for _ in range(horizon):
        value = (policy * (model.r + model.p @ value)).sum(axis=-1)
    return float(model.initial @ value)


def policy_action_values(model: FiniteMDP, policy: np.ndarray) -> np.ndarray:
    """Compute Q^pi of the discounted, infinite-horizon problem by solving its linear equations, (S, A).

    Args:
        model: The world, with a discount below 1 or steps that end.
        policy: (S, A) probabilities.
    """
    states, actions = model.r.shape
    pairs = states * actions
    p = (model.p[..., None] * policy).reshape(pairs, pairs)  # (s, a) -> (s', a')
    return np.linalg.solve(np.eye(pairs) - model.gamma * p, model.r.reshape(pairs)).reshape(states, actions)
