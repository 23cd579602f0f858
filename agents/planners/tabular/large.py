"""Optimal values of large discounted processes, sparse and dense, by modified policy iteration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from envzoo.agents.planners.tabular.optimum import Optimum
from envzoo.agents.planners.tabular.sweeps import (
    choose_rows,
    dense_evaluation,
    dense_sweep,
    sparse_action_values,
    sparse_evaluation,
    sparse_sweep,
)
from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP, Outcomes
from envzoo.tabular.finite_mdp import TOLERANCE


def sparse_optimum(
    outcomes: Outcomes,
    gamma: float,
    *,
    tolerance: float = 1e-8,
    tie_tolerance: float = 1e-6,
    evaluations: int = 10,
    max_iterations: int = 1_000_000,
    shared: bool | None = None,
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
        shared: Whether all cores share the sweeps; None for large worlds. The numbers are the same.

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
    choice = np.empty(states, np.int32)
    to, chosen, pays = np.empty((states, most), np.uint32), np.empty((states, most)), np.empty(states)

    def sweep(v: np.ndarray, out: np.ndarray) -> None:
        sparse_sweep(following, weight, r, v, out, choice, shared=shared)

    def evaluate(v: np.ndarray, spare: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        choose_rows(choice, following, weight, r, to, chosen, pays)
        return sparse_evaluation(to, chosen, pays, v, spare, evaluations)

    start = np.full(states, _lowest(r, gamma))
    v, new, shift, iteration = _iterate(sweep, evaluate, start, gamma, ends, tolerance, evaluations, max_iterations)
    q = sparse_action_values(following, weight, r, v)
    return Optimum(new + shift, q + shift, q >= new[:, None] - tie_tolerance, iteration)


def dense_optimum(
    model: FiniteMDP,
    *,
    tolerance: float = 1e-8,
    tie_tolerance: float = 1e-6,
    evaluations: int = 5,
    max_iterations: int = 1_000_000,
    shared: bool | None = None,
) -> Optimum:
    """Solve a large dense world by modified policy iteration; see `sparse_optimum` for method and arguments.

    Raises:
        EnvzooError: Numbers out of range, or no convergence.
    """
    _check(model.gamma, tolerance)
    p, q, choice = model.p.reshape(-1), np.empty(model.r.shape), np.empty(model.num_states, np.int64)

    def sweep(v: np.ndarray, out: np.ndarray) -> None:
        dense_sweep(model.p, model.r, model.gamma, v, q, out, shared=shared)

    def evaluate(v: np.ndarray, spare: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        q.argmax(axis=1, out=choice)
        for _ in range(evaluations):
            dense_evaluation(p, model.r, model.gamma, choice, v, spare)
            v, spare = spare, v
        return v, spare

    # A sweep over ones, without rewards, gives the sums of the rows at the speed of memory; and with them the first
    # sweep, which is over equal values.
    sums, v = np.empty(model.r.shape), np.empty(model.num_states)
    dense_sweep(model.p, np.zeros(model.r.shape), 1.0, np.ones(model.num_states), sums, v, shared=shared)
    ends = bool((sums[model.available] < 1 - TOLERANCE).any())
    v = (model.r + model.gamma * _lowest(model.r[model.available], model.gamma) * sums).max(axis=1)
    _, new, shift, iteration = _iterate(sweep, evaluate, v, model.gamma, ends, tolerance, evaluations, max_iterations)
    return Optimum(new + shift, q + shift, q >= new[:, None] - tie_tolerance, iteration)


def _lowest(r: np.ndarray, gamma: float) -> float:
    """Compute a lower bound of all values. From below, so that every later value is one, too, and grows."""
    return min(0.0, float(r.min())) / (1 - gamma)


def _check(gamma: float, tolerance: float) -> None:
    if not 0 <= gamma < 1:
        raise EnvzooError(f"gamma lies in [0, 1), got {gamma!r}")
    if not tolerance > 0:
        raise EnvzooError(f"tolerance is positive, got {tolerance}")


def _iterate(
    sweep: Callable[[np.ndarray, np.ndarray], None],
    evaluate: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    v: np.ndarray,
    gamma: float,
    ends: bool,
    tolerance: float,
    evaluations: int,
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Alternate sweeps and evaluations, from v (S,), until the values are within the tolerance.

    Args:
        ends: Whether some episode can end.

    Returns:
        Values (S,) before and after the last sweep, what must be added to the latter, and the number of sweeps.
    """
    new = np.empty(v.shape)
    for iteration in range(1, max_iterations + 1):
        sweep(v, new)
        change, size = new - v, float(np.abs(new).max())
        low, high = float(change.min()), float(change.max())
        if ends:  # the end is a state whose value never changes
            low, high = min(low, 0.0), max(high, 0.0)
        if gamma * (high - low) / 2 <= max((1 - gamma) * tolerance, 4e-16 * size):
            return v, new, gamma / (1 - gamma) * (low + high) / 2, iteration
        v, new = new, v
        if evaluations:
            v, new = evaluate(v, new)
    raise EnvzooError(f"the sweeps did not reach the tolerance {tolerance} within {max_iterations}; allow more")
