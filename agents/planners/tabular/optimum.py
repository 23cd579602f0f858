"""Optimal values and tie sets of discounted processes: value iteration, policy iteration, and sparse sweeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from envzoo.agents.planners.soft_value_iteration import solve
from envzoo.agents.planners.tabular.evaluation import check_policy, evaluate_policy
from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP, Outcomes

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


@njit(cache=True, parallel=True)
def dense_sweep(p, r, gamma, v, q, out):
    """Write the action values r + gamma P v into q (S, A), and their maxima into out (S,); p is (S, A, S)."""
    states, actions = r.shape
    for s in prange(states):
        best = -np.inf
        for a in range(actions):
            row = p[s, a]
            # Eight sums, because one sum has to wait for each addition; their order is fixed.
            x0 = x1 = x2 = x3 = x4 = x5 = x6 = x7 = 0.0
            whole = states - states % 8
            for t in range(0, whole, 8):
                x0 += row[t] * v[t]
                x1 += row[t + 1] * v[t + 1]
                x2 += row[t + 2] * v[t + 2]
                x3 += row[t + 3] * v[t + 3]
                x4 += row[t + 4] * v[t + 4]
                x5 += row[t + 5] * v[t + 5]
                x6 += row[t + 6] * v[t + 6]
                x7 += row[t + 7] * v[t + 7]
            for t in range(whole, states):
                x0 += row[t] * v[t]
            total = r[s, a] + gamma * (((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7)))
            q[s, a] = total
            best = max(best, total)
        out[s] = best


# ---------------------------------------------------------------------------- sparse worlds


@njit(cache=True)
def sparse_sweep(following, weight, r, v, q, out):
    """Write the action values r + sum of weight v[following] into q (S, A), and their maxima into out (S,)."""
    states, actions, most = following.shape
    for s in range(states):
        best = -np.inf
        for a in range(actions):
            total = r[s, a]
            for k in range(most):
                total += weight[s, a, k] * v[following[s, a, k]]
            q[s, a] = total
            best = max(best, total)
        out[s] = best


@njit(cache=True)
def sparse_evaluation(following, weight, r, policy, v, out):
    """Write the values of one backup of a deterministic policy (S,) into out (S,)."""
    states, _, most = following.shape
    for s in range(states):
        a = policy[s]
        total = r[s, a]
        for k in range(most):
            total += weight[s, a, k] * v[following[s, a, k]]
        out[s] = total


def sparse_optimum(
    outcomes: Outcomes,
    gamma: float,
    *,
    tolerance: float = 1e-8,
    tie_tolerance: float = 1e-6,
    evaluations: int = 20,
    max_iterations: int = 1_000_000,
) -> Optimum:
    """Solve a large sparse world by modified policy iteration (Puterman and Shin, 1978).

    Between two sweeps over all actions, `evaluations` cheap backups of the greedy policy bring its values closer; 0 is
    value iteration.

    Args:
        outcomes: The world, never as a dense table.
        gamma: Discount in [0, 1).
        tolerance: Largest error of a value.
        tie_tolerance: Difference of action values up to which actions tie.
        evaluations: Backups of the greedy policy after each sweep.
        max_iterations: Number of sweeps after which to give up.

    Raises:
        EnvzooError: Numbers out of range, or no convergence.
    """
    if not 0 <= gamma < 1:
        raise EnvzooError(f"gamma lies in [0, 1), got {gamma!r}")
    if not tolerance > 0:
        raise EnvzooError(f"tolerance is positive, got {tolerance}")
    weight = np.where(outcomes.ends, 0.0, gamma * outcomes.probability)
    following, r = outcomes.next_state.astype(np.int32), outcomes.expected_reward()
    q, new = np.empty(r.shape), np.empty(len(r))
    # From below: a lower bound of all values, so that every later value is one, too, and grows.
    v = np.full(len(r), min(0.0, float(r.min())) / (1 - gamma))
    for iteration in range(1, max_iterations + 1):
        sparse_sweep(following, weight, r, v, q, new)
        change, size = float(np.abs(new - v).max()), float(np.abs(new).max())
        if gamma * change <= max((1 - gamma) * tolerance, 4e-16 * size):
            return Optimum(new, q, tie_set(q, tie_tolerance), iteration)
        v, new = new, v
        if evaluations:
            policy = q.argmax(axis=1)
            for _ in range(evaluations):
                sparse_evaluation(following, weight, r, policy, v, new)
                v, new = new, v
    raise EnvzooError(f"the sweeps did not reach the tolerance {tolerance} within {max_iterations}; allow more")
