"""Optimal values and tie sets of discounted processes: value iteration and policy iteration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.agents.planners.soft_value_iteration import solve
from envzoo.agents.planners.tabular.evaluation import check_policy, evaluate_policy
from envzoo.errors import EnvzooError
from envzoo.moved import former_names
from envzoo.tabular import FiniteMDP

TIE = 1e-9  # difference of action values up to which actions tie


@dataclass(frozen=True)
class Optimum:
    """Optimal values, and all actions that attain them.

    Attributes:
        v: (S,) optimal values.
        q: (S, A) optimal action values.
        ties: (S, A) bool, the actions whose value is within the tie tolerance of the best.
        iterations: Sweeps, or improvements of the policy.
    """

    v: np.ndarray
    q: np.ndarray
    ties: np.ndarray
    iterations: int

    @property
    def policy(self) -> np.ndarray:
        """(S, A) the optimal policy that is uniform over ties."""
        return self.ties / self.ties.sum(axis=1, keepdims=True)

    @property
    def first(self) -> np.ndarray:
        """(S,) the first optimal action of each state."""
        return self.ties.argmax(axis=1)


def tie_set(q: np.ndarray, tolerance: float = TIE) -> np.ndarray:
    """Mark the actions (..., A) whose values are within `tolerance` of the best."""
    q = np.asarray(q, np.float64)
    return q >= q.max(axis=-1, keepdims=True) - tolerance


def action_gap(q: np.ndarray, tolerance: float = TIE) -> np.ndarray:
    """Compute the distance (...,) from the best value to the best action outside the tie set; inf if all tie."""
    q = np.asarray(q, np.float64)
    best = q.max(axis=-1)
    return best - np.where(tie_set(q, tolerance), -np.inf, q).max(axis=-1)


def value_iteration(
    model: FiniteMDP, *, tolerance: float = 1e-12, tie_tolerance: float = TIE, max_iterations: int = 1_000_000
) -> Optimum:
    """Solve a discounted process by value iteration.

    Args:
        model: The process, with gamma below 1.
        tolerance: Largest error of a value. It must be well below the tie tolerance, or ties are missed.
        tie_tolerance: Difference of action values up to which actions tie.
        max_iterations: Number of sweeps after which to give up.

    Raises:
        EnvzooError: Numbers out of range, or no convergence.
    """
    if not 2 * tolerance < tie_tolerance:
        raise EnvzooError(
            f"tolerance is {tolerance:g}; expected less than half the tie tolerance, {tie_tolerance:g}, or ties would "
            "be taken for differences"
        )
    found = solve(model, 0.0, tolerance=tolerance, max_iterations=max_iterations)
    return Optimum(found.v, found.q, tie_set(found.q, tie_tolerance), found.iterations)


def policy_iteration(model: FiniteMDP, *, start: np.ndarray | None = None, tie_tolerance: float = TIE) -> Optimum:
    """Solve a process by Howard's policy iteration with exact evaluation.

    Args:
        model: The process. With gamma 1, every policy that is met must end episodes with certainty.
        start: (S,) first policy; None takes the action of the largest expected reward.
        tie_tolerance: Difference of action values up to which actions tie.

    Raises:
        EnvzooError: A policy cannot be evaluated because its episodes need not end.
    """
    if start is None:
        policy = model.r.argmax(axis=1)
    else:
        policy = check_policy(model, np.eye(model.num_actions)[np.asarray(start, np.int64)]).argmax(axis=1)
    states = np.arange(model.num_states)
    for iteration in range(1, 10_000):
        v, q = evaluate_policy(model, policy)
        better = q.argmax(axis=1)
        # A switch must gain more than rounding, so that ties do not go on for ever.
        gains = q[states, better] > q[states, policy] + 1e-12 * np.maximum(1.0, np.abs(v))
        if not gains.any():
            return Optimum(q.max(axis=1), q, tie_set(q, tie_tolerance), iteration)
        policy = np.where(gains, better, policy)
    raise EnvzooError("policy iteration did not end within 10000 improvements")


_LARGE = "envzoo.agents.planners.tabular.large"
__getattr__ = former_names(__name__, {"dense_optimum": _LARGE, "sparse_optimum": _LARGE})
