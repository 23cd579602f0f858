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


class WarmDual:
    """The program of `solve_dual` without constraints, for many rewards: each solution starts from the one before.

    Needs the package highspy (extra `lp`), whose solver keeps its basis between calls.

    Args:
        model: A discounted process, gamma below 1.

    Raises:
        EnvzooError: gamma is 1, or highspy is not installed.
    """

    def __init__(self, model: FiniteMDP) -> None:
        if not model.gamma < 1:
            raise EnvzooError(f"gamma lies in [0, 1), got {model.gamma}")
        try:
            import highspy
        except ImportError:
            raise EnvzooError("WarmDual needs the package highspy; install it with the extra envzoo[lp]") from None
        self.model, self._optimal = model, highspy.HighsModelStatus.kOptimal
        states, actions = model.r.shape
        self._pairs = np.flatnonzero(model.available.ravel())
        count = len(self._pairs)
        leaving = sparse.csc_array((np.ones(count), (self._pairs // actions, np.arange(count))), (states, count))
        flow = sparse.csc_array(leaving - sparse.csc_array(model.gamma * model.p.reshape(-1, states)[self._pairs].T))
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = count, states
        program.col_cost_ = -model.r.ravel()[self._pairs]
        program.col_lower_, program.col_upper_ = np.zeros(count), np.full(count, highspy.kHighsInf)
        program.row_lower_ = program.row_upper_ = model.initial
        program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        program.a_matrix_.start_, program.a_matrix_.index_ = flow.indptr, flow.indices
        program.a_matrix_.value_ = flow.data
        self._solver = highspy.Highs()
        self._solver.setOptionValue("output_flag", False)
        self._solver.setOptionValue("threads", 1)
        self._solver.passModel(program)
        self._columns = np.arange(count, dtype=np.int32)

    def solve(self, r: np.ndarray | None = None) -> LinearSolution:
        """Solve the program for rewards (S, A), those of the model if None; unavailable actions stay unavailable.

        Raises:
            EnvzooError: The rewards do not fit, or the program was not solved.
        """
        shape = self.model.r.shape
        rewards = self.model.r if r is None else np.asarray(r, np.float64)
        if rewards.shape != shape or not np.isfinite(rewards.ravel()[self._pairs]).all():
            raise EnvzooError(f"r has the shape {rewards.shape}; expected finite rewards {shape}")
        self._solver.changeColsCost(len(self._pairs), self._columns, -rewards.ravel()[self._pairs])
        self._solver.run()
        if self._solver.getModelStatus() != self._optimal:
            raise EnvzooError(f"the linear program was not solved ({self._solver.getModelStatus()})")
        found = self._solver.getSolution()
        visits = np.zeros(rewards.size)
        visits[self._pairs] = found.col_value
        value = -float(self._solver.getInfo().objective_function_value)
        return LinearSolution(value, visits.reshape(shape), -np.array(found.row_dual))


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
