"""BayesianExperimentDesign: choose informative measurements of a smooth field (submodular RL, paper 09)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.coverage.gaussian_process import grid_points, posterior_covariance
from envzoo.coverage.grid import next_cells
from envzoo.coverage.grid_world import (
    GridWorld,
    MaskObservation,
    Walk,
    arrive,
    begin,
    carried_out,
    check_number,
    check_whole,
    mixed,
    observe_position,
    observe_with_mask,
)
from envzoo.errors import EnvzooError
from envzoo.kernel import KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art

# Variance added to every measurement, which keeps the determinant positive if cells are repeated.
JITTER = 1e-6
# Added to every gain so that none is negative: -log2(0.001). The paper's code adds it, in bits, to a log-determinant in
# nats.
OFFSET = -math.log2(1e-3)


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    walk: Walk
    moves: np.ndarray  # int64 (cells, 5)
    covariance: np.ndarray  # float64 (cells, cells)


class State(NamedTuple):
    """State of one episode."""

    position: Any  # int64 (2,): cell and number of moves so far
    coverage: Any  # F of the path so far
    covered: Any  # bool (cells,), visited cells
    path: Any  # int32 (horizon + 1,), cells visited so far, then -1
    factor: Any  # float64 (horizon + 1, horizon + 1), the path's Cholesky factor, transposed


@njit(cache=True)
def measure(parameters, state, i, cell, known):
    """Add `cell` to a path of `known` cells; returns the marginal gain.

    The new row w of the Cholesky factor L of the path's covariance solves L w = k, where k are the covariances of the
    new cell with the path, by forward substitution: known^2 / 2 multiplications. The remaining variance of the cell,
    k(cell, cell) + JITTER - |w|^2, is the square of the new diagonal element, and half its logarithm is the gain.
    """
    # L is stored transposed, so that the inner loop runs along a row of memory; the remainder of k is stored in the
    # unused part below the diagonal.
    factor, covariance = state.factor[i], parameters.covariance[cell]
    rest = factor[known]
    left = covariance[cell] + JITTER
    for j in range(known):
        rest[j] = covariance[state.path[i, j]]
    for j in range(known):
        row = factor[j]
        entry = rest[j] / row[j]
        for k in range(j + 1, known):
            rest[k] -= entry * row[k]
        row[known] = entry
        left -= entry * entry
    left = max(left, JITTER)  # a lower bound of the exact value
    factor[known, known] = math.sqrt(left)
    state.covered[i, cell] = True
    return 0.5 * math.log(left) + OFFSET


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    starts = begin(parameters.walk, state, streams, where, options)
    for i in range(where.size):
        if where[i]:
            state.factor[i] = 0.0
            state.coverage[i] = measure(parameters, state, i, starts[i], 0)
            infos.modular_reward[i] = 0.0
            infos.coverage[i] = state.coverage[i]


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    actions = carried_out(parameters.walk, streams, where, actions)
    for i in range(where.size):
        if where[i]:
            cell = parameters.moves[state.position[i, 0], actions[i]]
            gain = measure(parameters, state, i, cell, state.position[i, 1] + 1)
            state.coverage[i] += gain
            rewards[i] = gain
            terminated[i] = arrive(parameters.walk, state, i, cell)
            infos.modular_reward[i] = 0.5 * math.log(parameters.covariance[cell, cell] + JITTER) + OFFSET
            infos.coverage[i] = state.coverage[i]


class BayesianExperimentDesign(GridWorld):
    """Measure a smooth random field along a walk so as to gain as much information about it as possible.

    ## Description
    A field on the grid follows a Gaussian process with unit variance and Matern covariance of smoothness 5/2. It has
    already been measured at `observed` random cells, with noise of variance `noise`. Every visit of a cell, including a
    repeated one, is another measurement. With K the covariance after the initial measurements, the value of a path of n
    cells is F(path) = 0.5 * log det(K[path, path] + 1e-6 I) + n * 9.965784: the entropy of the measurements, up to
    constants. Measurements near known values add little information: F is submodular. The last term, -log2(0.001) per
    measurement, keeps every gain positive, so that F is also monotone; it adds the same amount to every path. This is
    the Bayesian experiment design task of submodular reinforcement learning (Prajapat et al., "Submodular Reinforcement
    Learning", ICLR 2024, arXiv 2307.13372).

    ## Action space
    `Discrete(5)`: 0 stay, 1 right, 2 down, 3 left, 4 up. A move off the grid leaves the agent in place.

    ## Observation space
    `MultiDiscrete([rows * columns, horizon + 1])`: the cell (row * columns + column) and the number of moves so far.
    With `coverage_mask=True` a `Dict` of `position` (that pair) and `covered`, `MultiBinary([rows, columns])`, the
    visited cells.

    ## Reward
    The marginal gain 0.5 * log(v + 1e-6) + 9.965784, where v is the variance of the new measurement given the previous
    ones. The measurement at the start gives no reward, so the return is F(path) - F({start}). The Cholesky factor of
    the path is stored and extended: the n-th step takes n^2 / 2 multiplications, whereas a determinant would take n^3 /
    3.

    ## Info
    After every reset and step: `coverage`, F of the path so far; `modular_reward`, F({new cell}) (0 after a reset), the
    additive reward of the ModPO baseline. (The paper's code uses the logarithm to base 2 there, which does not change
    the best paths.)

    ## Start of an episode
    Set by `start` or `reset(options={"start": ...})`, which also accepts an array with one cell per episode.

    ## End of an episode
    Terminates after `horizon` moves; the horizon is part of the problem, not an external time limit.

    ## Arguments
    - `rows`, `columns` (10, 10): size of the grid.
    - `horizon` (20): number of moves.
    - `start` ("corner"): "corner" (cell 0), "centre", "random" (uniform), a cell index, or a pair (row, column).
    - `spacing` (0.3), `lengthscale` (1.0): distance between neighbouring cells, and lengthscale of the process.
    - `observed` (5), `prior_seed` (0): number of distinct cells measured initially, and the seed that selects them.
    - `noise` (0.001): variance of the noise of these initial measurements.
    - `coverage_mask` (False): whether the observation includes the visited cells.
    - `stochasticity` (0.0): probability that a move is replaced by one of the five actions, drawn uniformly.

    ## Registered ids
    - `envzoo/BayesianExperimentDesign-v0`: the defaults above.
    - `envzoo/BayesianExperimentDesign-Paper-v0`: the paper's setting: 30x30, 39 moves (40 states), start in cell 34,
      `spacing=0.1`.
    """

    observation_type = MaskObservation

    def __init__(
        self,
        rows: int = 10,
        columns: int = 10,
        horizon: int = 20,
        start: str | int | tuple[int, int] = "corner",
        spacing: float = 0.3,
        lengthscale: float = 1.0,
        observed: int = 5,
        prior_seed: int = 0,
        noise: float = 1e-3,
        coverage_mask: bool = False,
        stochasticity: float = 0.0,
    ) -> None:
        self._lay_out(rows, columns, horizon)
        if check_whole("observed", observed, 0) > self.cells:
            raise EnvzooError(f"observed is {observed}; expected at most the {self.cells} cells of the grid")
        points = grid_points(self.rows, self.columns, check_number("spacing", spacing, 0, above=True))
        generator = np.random.default_rng(check_whole("prior_seed", prior_seed, 0, None))
        self.observed_cells = np.sort(generator.choice(self.cells, size=observed, replace=False))
        self.parameters = Parameters(
            walk=self._walk(start, stochasticity),
            moves=next_cells(self.rows, self.columns),
            covariance=posterior_covariance(
                points,
                points[self.observed_cells],
                check_number("lengthscale", lengthscale, 0, above=True),
                check_number("noise", noise, 0, above=True),
            ),
        )
        self.state = State(
            position=(np.int64, (2,)),
            coverage=np.float64,
            covered=(np.bool_, (self.cells,)),
            path=(np.int32, (self.horizon + 1,)),
            factor=(np.float64, (self.horizon + 1, self.horizon + 1)),
        )
        self.observation_space = self._spaces(
            covered=spaces.MultiBinary([self.rows, self.columns]) if coverage_mask else None
        )
        self.kernels = Kernels(reset, step, observe_with_mask if coverage_mask else observe_position)

    # ------------------------------------------------------- the set function

    def value(self, cells: Iterable[int]) -> float:
        """Compute F of measurements at `cells`, in any order; a cell may occur several times."""
        cells = np.asarray(list(cells), np.int64)
        covariance = self.parameters.covariance[np.ix_(cells, cells)] + JITTER * np.eye(cells.size)
        return float(0.5 * np.linalg.slogdet(covariance)[1] + cells.size * OFFSET)

    def variance(self, cells: Iterable[int]) -> np.ndarray:
        """Compute the remaining variance of every cell (cells,) after measurements at `cells`."""
        cells = np.asarray(list(cells), np.int64)
        covariance = self.parameters.covariance
        factor = np.linalg.cholesky(covariance[np.ix_(cells, cells)] + JITTER * np.eye(cells.size))
        explained = np.linalg.solve(factor, covariance[cells])
        return np.maximum(np.diagonal(covariance) - (explained * explained).sum(axis=0), 0.0)

    # ---------------------------------------------------------------- drawing

    def _left(self, state: State) -> np.ndarray:
        """Compute the standard deviation of every cell (cells,), relative to the largest before the walk."""
        first = np.sqrt(np.diagonal(self.parameters.covariance).max())
        return np.sqrt(self.variance(state.path[: state.position[1] + 1].tolist())) / first

    def draw(self, state: State) -> np.ndarray:
        """Draw the remaining uncertainty as a heat map, initial measurements as rings, the path and the agent."""
        canvas = self._canvas(mixed(art.PALE_BLUE, art.RED, self._left(state)))
        for cell in self.observed_cells.tolist():
            canvas.disc(*self._centre(cell), self._cell_size() * 0.22, art.PAPER, ring=art.INK)
        self._draw_path(canvas, state, art.INK)
        return canvas.image()

    def describe(self, state: State) -> str:
        """Show the grid as text: A agent, S start, o path, x initial measurement, else the deviation left, 0 to 9."""
        signs = np.minimum(10 * self._left(state), 9).astype(int).astype("U1")
        signs[self.observed_cells] = "x"
        return self._text(signs, state, f"information {state.coverage:.2f}")


class BayesianExperimentDesignEnv(KernelEnv):
    """Single environment of `BayesianExperimentDesign`."""

    definition_class = BayesianExperimentDesign


class BayesianExperimentDesignVectorEnv(KernelVectorEnv):
    """Vector environment of `BayesianExperimentDesign`."""

    definition_class = BayesianExperimentDesign
