"""Linear programs of finite processes, solved by HiGHS."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse

from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP


class LinearSolution(NamedTuple):
    """Solution of the dual program of a discounted process.

    Attributes:
        value: Optimal expected return from the initial law.
        occupancy: (S, A) discounted visits of an optimal policy, with sum 1 / (1 - gamma) if no episode ends.
        v: (S,) multipliers of the flow constraints: optimal values wherever the policy comes.
    """

    value: float
    occupancy: np.ndarray
    v: np.ndarray


def solve_dual(
    model: FiniteMDP, *, costs: np.ndarray | None = None, budgets: np.ndarray | None = None
) -> LinearSolution:
    """Maximise <d, r> over occupancy measures d, under constraints <d, cost_i> <= budget_i if there are any.

    Args:
        model: A discounted process, gamma below 1.
        costs: (n, S, A) expected costs of constraints, or None.
        budgets: (n,) their limits.

    Raises:
        EnvzooError: gamma is 1, shapes do not fit, or no policy keeps the constraints.
    """
    if not model.gamma < 1:
        raise EnvzooError(f"gamma lies in [0, 1), got {model.gamma}")
    states, actions = model.r.shape
    known = model.available.ravel()
    pairs = np.flatnonzero(known)
    flow = sparse.csr_array(model.gamma * model.p.reshape(-1, states)[pairs].T)
    leaving = sparse.csr_array((np.ones(len(pairs)), (pairs // actions, np.arange(len(pairs)))), (states, len(pairs)))
    limits = {}
    if costs is not None:
        costs, budgets = np.asarray(costs, np.float64), np.asarray(budgets, np.float64)
        if costs.shape != (len(budgets), states, actions):
            raise EnvzooError(f"costs have the shape {costs.shape}; expected ({len(budgets)}, {states}, {actions})")
        limits = {"A_ub": costs.reshape(len(budgets), -1)[:, pairs], "b_ub": budgets}
    found = optimize.linprog(
        -model.r.ravel()[pairs], A_eq=leaving - flow, b_eq=model.initial, bounds=(0, None), method="highs", **limits
    )
    if found.status == 2:
        raise EnvzooError("no policy keeps the constraints; expected larger budgets")
    if not found.success:
        raise EnvzooError(f"the linear program was not solved ({found.message})")
    occupancy = np.zeros(states * actions)
    occupancy[pairs] = found.x
    return LinearSolution(float(-found.fun), occupancy.reshape(states, actions), -np.asarray(found.eqlin.marginals))


def left_inverse_norm(matrix: np.ndarray) -> float:
    """Compute the smallest ||X||_{1->1} (largest absolute column sum) over all left inverses X of a matrix (O, S).

    Returns:
        The norm, inf if the columns are linearly dependent and there is no left inverse.
    """
    matrix = np.asarray(matrix, np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape or not np.isfinite(matrix).all():
        raise EnvzooError(f"the matrix has the shape {matrix.shape}; expected finite numbers (O, S)")
    rows, columns = matrix.shape
    if np.linalg.matrix_rank(matrix) < columns:
        return float("inf")
    # Variables: positive and negative parts of X (S, O), row by row, then the norm. X M = I, column sums <= norm.
    identity = sparse.kron(sparse.eye_array(columns), sparse.csr_array(matrix.T), format="csr")
    size = rows * columns
    equal = sparse.hstack([identity, -identity, sparse.csr_array((columns * columns, 1))], format="csr")
    sums = sparse.kron(np.ones((1, columns)), sparse.eye_array(rows), format="csr")
    below = sparse.hstack([sums, sums, -np.ones((rows, 1))], format="csr")
    cost = np.zeros(2 * size + 1)
    cost[-1] = 1.0
    found = optimize.linprog(
        cost,
        A_ub=below,
        b_ub=np.zeros(rows),
        A_eq=equal,
        b_eq=np.eye(columns).ravel(),
        bounds=(0, None),
        method="highs",
    )
    if not found.success:
        raise EnvzooError(f"the linear program was not solved ({found.message})")
    return float(found.fun)
