"""Optimal values and tie sets of discounted processes: value iteration, policy iteration, and sparse sweeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from envzoo.agents.planners.soft_value_iteration import solve
from envzoo.agents.planners.tabular.evaluation import check_policy, evaluate_policy
from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP, Outcomes
from envzoo.tabular.finite_mdp import TOLERANCE

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


LARGE = 250_000  # pairs of state and action from which a sweep is shared by all cores


@njit(inline="always")
def _back_up(following, weight, r, v, q, s):
    """Write the action values of state s into q (S, A); returns the largest."""
    best = -np.inf
    for a in range(r.shape[1]):
        total = r[s, a]
        for k in range(following.shape[2]):
            total += weight[s, a, k] * v[following[s, a, k]]
        q[s, a] = total
        best = max(best, total)
    return best


@njit(inline="always")
def _back_up_4(following, weight, r, v, q, s):
    """Do the same for 4 next states: written out, because a loop of unknown length would take twice as long."""
    best = -np.inf
    for a in range(r.shape[1]):
        total = r[s, a]
        total += weight[s, a, 0] * v[following[s, a, 0]]
        total += weight[s, a, 1] * v[following[s, a, 1]]
        total += weight[s, a, 2] * v[following[s, a, 2]]
        total += weight[s, a, 3] * v[following[s, a, 3]]
        q[s, a] = total
        best = max(best, total)
    return best


@njit(cache=True)
def _sweep_alone(following, weight, r, v, q, out):
    if following.shape[2] == 4:
        for s in range(out.size):
            out[s] = _back_up_4(following, weight, r, v, q, s)
    else:
        for s in range(out.size):
            out[s] = _back_up(following, weight, r, v, q, s)


@njit(cache=True, parallel=True)
def _sweep_shared(following, weight, r, v, q, out):
    if following.shape[2] == 4:
        for s in prange(out.size):
            out[s] = _back_up_4(following, weight, r, v, q, s)
    else:
        for s in prange(out.size):
            out[s] = _back_up(following, weight, r, v, q, s)


def sparse_sweep(
    following: np.ndarray, weight: np.ndarray, r: np.ndarray, v: np.ndarray, q: np.ndarray, out: np.ndarray
) -> None:
    """Write the action values r + sum of weight v[following] into q (S, A), and their maxima into out (S,).

    Large worlds are swept by all cores; the numbers do not depend on how many there are.

    Args:
        following: (S, A, K) next states; unsigned ones save a comparison each.
        weight: (S, A, K) discounted probabilities.
        r: (S, A) expected rewards.
        v: (S,) values.
        q: (S, A), written.
        out: (S,), written.
    """
    (_sweep_shared if r.size >= LARGE else _sweep_alone)(following, weight, r, v, q, out)


@njit(cache=True)
def choose_rows(q, following, weight, r, to, chosen, pays):
    """Write next states and weights (S, K) and rewards (S,) of the first best action of q (S, A) into the last three.

    Side by side, so that the backups that follow read nothing else.
    """
    states, actions, most = following.shape
    for s in range(states):
        best, top = 0, q[s, 0]
        for a in range(1, actions):  # without jumps, which a processor could not foresee
            better = q[s, a] > top
            best = a if better else best
            top = q[s, a] if better else top
        pays[s] = r[s, best]
        for k in range(most):
            to[s, k], chosen[s, k] = following[s, best, k], weight[s, best, k]


@njit(cache=True)
def sparse_evaluation(to, weight, r, v, out, times):
    """Apply `times` backups of a policy to v (S,), whose next states and weights are (S, K) and rewards (S,).

    v and out are used in turns; returns the array that holds the last values, and the other one.
    """
    states, most = to.shape
    for _ in range(times):
        for s in range(states):
            total = r[s]
            if most == 4:
                total += weight[s, 0] * v[to[s, 0]]
                total += weight[s, 1] * v[to[s, 1]]
                total += weight[s, 2] * v[to[s, 2]]
                total += weight[s, 3] * v[to[s, 3]]
            else:
                for k in range(most):
                    total += weight[s, k] * v[to[s, k]]
            out[s] = total
        v, out = out, v
    return v, out


def sparse_optimum(
    outcomes: Outcomes,
    gamma: float,
    *,
    tolerance: float = 1e-8,
    tie_tolerance: float = 1e-6,
    evaluations: int = 10,
    max_iterations: int = 1_000_000,
) -> Optimum:
    """Solve a large sparse world by modified policy iteration (Puterman and Shin, 1978).

    Between two sweeps over all actions, `evaluations` cheap backups of the greedy policy bring its values closer; 0 is
    value iteration. If a sweep changes the values by d, between its smallest and its largest entry, then the optimal
    values are those after it plus gamma / (1 - gamma) times a number between the two (MacQueen, 1966). The search ends
    when half their difference is within the tolerance, and the middle is added.

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
    _check(gamma, tolerance)
    weight, ends = gamma * outcomes.probability, False
    if outcomes.ends.any():
        ends = bool((weight[outcomes.ends] > 0).any())
        weight[outcomes.ends] = 0.0
    following = outcomes.next_state.astype(np.uint32)
    r = np.einsum("sak,sak->sa", outcomes.probability, outcomes.reward)
    states, _, most = weight.shape
    to, chosen, pays = np.empty((states, most), np.uint32), np.empty((states, most)), np.empty(states)

    def sweep(v: np.ndarray, q: np.ndarray, out: np.ndarray) -> None:
        sparse_sweep(following, weight, r, v, q, out)

    def evaluate(q: np.ndarray, v: np.ndarray, spare: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        choose_rows(q, following, weight, r, to, chosen, pays)
        return sparse_evaluation(to, chosen, pays, v, spare, evaluations)

    return _iterate(sweep, evaluate, r, gamma, ends, tolerance, tie_tolerance, evaluations, max_iterations)


def dense_optimum(
    model: FiniteMDP,
    *,
    tolerance: float = 1e-8,
    tie_tolerance: float = 1e-6,
    evaluations: int = 10,
    max_iterations: int = 1_000_000,
) -> Optimum:
    """Solve a large dense world by modified policy iteration; see `sparse_optimum` for method and arguments.

    Raises:
        EnvzooError: Numbers out of range, or no convergence.
    """
    _check(model.gamma, tolerance)

    def sweep(v: np.ndarray, q: np.ndarray, out: np.ndarray) -> None:
        dense_sweep(model.p, model.r, model.gamma, v, q, out)

    def evaluate(q: np.ndarray, v: np.ndarray, spare: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.arange(len(v)), q.argmax(axis=1)
        moves, rewards = model.gamma * model.p[rows], model.r[rows]
        for _ in range(evaluations):
            np.dot(moves, v, out=spare)
            spare += rewards
            v, spare = spare, v
        return v, spare

    ends = bool((model.p.sum(axis=-1)[model.available] < 1 - TOLERANCE).any())
    rewards = np.where(model.available, model.r, np.inf)
    return _iterate(sweep, evaluate, rewards, model.gamma, ends, tolerance, tie_tolerance, evaluations, max_iterations)


def _check(gamma: float, tolerance: float) -> None:
    if not 0 <= gamma < 1:
        raise EnvzooError(f"gamma lies in [0, 1), got {gamma!r}")
    if not tolerance > 0:
        raise EnvzooError(f"tolerance is positive, got {tolerance}")


def _iterate(
    sweep: Callable[..., None],
    evaluate: Callable[..., tuple[np.ndarray, np.ndarray]],
    r: np.ndarray,
    gamma: float,
    ends: bool,
    tolerance: float,
    tie_tolerance: float,
    evaluations: int,
    max_iterations: int,
) -> Optimum:
    """Alternate sweeps and evaluations until the values are within the tolerance; `ends`, if some episode can end."""
    q, new = np.empty(r.shape), np.empty(len(r))
    # From below: a lower bound of all values, so that every later value is one, too, and grows.
    v = np.full(len(r), min(0.0, float(r.min())) / (1 - gamma))
    for iteration in range(1, max_iterations + 1):
        sweep(v, q, new)
        change, size = new - v, float(np.abs(new).max())
        low, high = float(change.min()), float(change.max())
        if ends:  # the end is a state whose value never changes
            low, high = min(low, 0.0), max(high, 0.0)
        if gamma * (high - low) / 2 <= max((1 - gamma) * tolerance, 4e-16 * size):
            shift = gamma / (1 - gamma) * (low + high) / 2
            return Optimum(new + shift, q + shift, q >= new[:, None] - tie_tolerance, iteration)
        v, new = new, v
        if evaluations:
            v, new = evaluate(q, v, new)
    raise EnvzooError(f"the sweeps did not reach the tolerance {tolerance} within {max_iterations}; allow more")
