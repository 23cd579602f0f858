"""GridCoverage: walk a grid and cover as much of it as possible (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.coverage.grid import MOVES, covered_cells, disc_table, move_table
from envzoo.coverage.grid_world import (
    RANDOM_START,
    GridWorld,
    MaskObservation,
    Walk,
    arrive,
    begin,
    carried_out,
    observe_position,
    observe_with_mask,
)
from envzoo.kernel import KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    walk: Walk
    disc: np.ndarray  # int64 (cells, largest disc), rows padded with the cell itself
    disc_size: np.ndarray  # int64 (cells,)
    moves: np.ndarray  # uint32 (cells, 5, 1 + most): next cell, then the new part of its disc


class State(NamedTuple):
    """State of one episode."""

    position: Any  # int64 (2,): cell and number of moves so far
    coverage: Any  # F of the path so far
    covered: Any  # bool (cells,)
    path: Any  # int32 (horizon + 1,), cells visited so far, then -1


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    starts = begin(parameters.walk, state, streams, where, options)
    for i in range(where.size):
        if where[i]:
            start = starts[i]
            for k in range(parameters.disc_size[start]):
                state.covered[i, parameters.disc[start, k]] = True
            state.coverage[i] = parameters.disc_size[start]
            infos.modular_reward[i] = 0.0
            infos.coverage[i] = state.coverage[i]


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    actions = carried_out(parameters.walk, streams, where, actions)
    # One unsigned index is faster than two signed ones, which Numba must check for being negative.
    moves = parameters.moves.reshape(-1, parameters.moves.shape[2])
    for i in range(where.size):
        if where[i]:
            row = moves[np.uint64(state.position[i, 0] * len(MOVES) + actions[i])]
            # The marginal gain F(s | path). The old disc is already covered, so only the rest of the new one can
            # count; padding counts nothing, because that cell is counted elsewhere or already covered.
            gain = 0
            for k in range(1, row.size):
                gain += 1 - np.int64(state.covered[i, row[k]])
                state.covered[i, row[k]] = True
            cell = row[0]
            coverage = state.coverage[i] + gain
            state.coverage[i] = coverage
            rewards[i] = gain
            terminated[i] = arrive(parameters.walk, state, i, cell)
            infos.modular_reward[i] = parameters.disc_size[cell]
            infos.coverage[i] = coverage


class GridCoverage(GridWorld):
    """Walk a grid and cover as much of it as possible within a fixed number of moves.

    ## Description
    Standing on a cell covers a disc of cells around it. The value of a path is the number of cells covered by the union
    of its discs, F(path): a monotone submodular set function, so covering a cell again has no value. The reward of a
    move is its marginal gain F(path + new cell) - F(path). Any agent can therefore be applied to the problem, but the
    best action depends on the cells covered before. Moves are deterministic unless `stochasticity` is positive. This is
    the coverage task of submodular reinforcement learning (Prajapat et al., "Submodular Reinforcement Learning", ICLR
    2024, arXiv 2307.13372).

    ## Action space
    `Discrete(5)`. A move off the grid leaves the agent in place.

    | action | move |
    |---|---|
    | 0 | stay |
    | 1 | right (column + 1) |
    | 2 | down (row + 1) |
    | 3 | left (column - 1) |
    | 4 | up (row - 1) |

    ## Observation space
    `MultiDiscrete([rows * columns, horizon + 1])`: the cell (row * columns + column) and the number of moves so far.
    With `coverage_mask=True` a `Dict` of `position` (that pair) and `covered`, `MultiBinary([rows, columns])`: without
    the mask or a memory, the agent cannot predict its future gains.

    ## Reward
    The number of newly covered cells (weight 1 each). The disc of the start gives no reward, so the return of an
    episode is F(path) - F({start}).

    ## Info
    After every reset and step: `coverage`, F of the path so far, including the start's disc; `modular_reward`, the size
    of the disc of the new cell, whether or not covered before (0 after a reset), which is the additive reward of the
    paper's ModPO baseline.

    ## Start of an episode
    Set by `start` or `reset(options={"start": ...})`: a cell index, one of the names below, or an integer array with
    one cell index per episode.

    ## End of an episode
    Terminates after `horizon` moves. This is not a time limit on a continuing task, which would be a truncation: the
    finite horizon defines the problem, the step number is part of the observation, and no reward is possible after it,
    so agents must not bootstrap at the end.

    ## Arguments
    - `rows`, `columns` (10, 10): size of the grid.
    - `disc` ("square"): "square" is the square of half-width `radius` around the cell; "paper" is the shape in the
    paper's released code, {the cell, right, down, down-right}; "paper_large" is that map applied twice, the 3x3 block
    with the cell in its upper left corner. All are cut off at the border.
    - `radius` (1 for the square): half-width of the square disc; only for `disc="square"`.
    - `horizon` (20): number of moves.
    - `start` ("corner"): "corner" (cell 0), "centre" (row rows // 2, column columns // 2), "random" (uniform), a cell
      index, or a pair (row, column).
    - `coverage_mask` (False): whether the observation includes the covered cells.
    - `stochasticity` (0.0): probability that a move is replaced by one of the five actions, drawn uniformly.

    ## Registered ids
    - `envzoo/GridCoverage-v0`: the defaults above.
    - `envzoo/GridCoverage-Paper-v0`: the paper's coverage task as configured in its code: 30x30, 79 moves (80 states),
    start in cell 34, `disc="paper"`.
    - `envzoo/GridCoverage-PaperLarge-v0`: the same with `disc="paper_large"`.
    """

    observation_type = MaskObservation

    def __init__(
        self,
        rows: int = 10,
        columns: int = 10,
        radius: int | None = None,
        horizon: int = 20,
        start: str | int | tuple[int, int] = "corner",
        disc: str = "square",
        coverage_mask: bool = False,
        stochasticity: float = 0.0,
    ) -> None:
        self._lay_out(rows, columns, horizon)
        table, sizes = disc_table(self.rows, self.columns, disc, radius)
        moves, self._most_fresh = move_table(self.rows, self.columns, table)
        self.parameters = Parameters(self._walk(start, stochasticity), table, sizes, moves)
        self.limits = {**self.limits, "coverage": (0, self.cells)}
        self.state = State(
            position=(np.int64, (2,)),
            coverage=np.int64,
            covered=(np.bool_, (self.cells,)),
            path=(np.int32, (self.horizon + 1,)),
        )
        mask = spaces.MultiBinary([self.rows, self.columns]) if coverage_mask else None
        self.observation_space = self._spaces(covered=mask)
        self.kernels = Kernels(reset, step, observe_with_mask if coverage_mask else observe_position)

    # ------------------------------------------------------- the set function

    def value(self, cells: Iterable[int]) -> int:
        """Compute F of a set of visited cells: the number of cells covered by the union of their discs."""
        return int(covered_cells(self.parameters.disc, cells).sum())

    def disc_of(self, cell: int) -> np.ndarray:
        """Return the cells covered from `cell`, int64, ascending."""
        return np.sort(self.parameters.disc[cell, : self.parameters.disc_size[cell]])

    @property
    def upper_bound(self) -> int:
        """Compute an upper bound of F over all paths from the configured start (from any cell, for a random start).

        The bound is |disc(start)| + horizon * (largest number of cells that one move can add), but at most the size of
        the grid. A move adds at most the part of the new disc outside the old one, because the old one is already
        covered.
        """
        sizes = self.parameters.disc_size
        start = self.parameters.walk.start
        first = int(sizes.max() if start == RANDOM_START else sizes[start])
        return min(first + self.horizon * self._most_fresh, sizes.size)

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """Draw the grid: covered cells shaded, the current disc darker, the path, its start and the agent."""
        colours = np.where(state.covered[:, None], art.PALE_BLUE, art.PAPER)
        colours[self.disc_of(int(state.position[0]))] = art.MID_BLUE
        canvas = self._canvas(colours)
        self._draw_path(canvas, state)
        return canvas.image()

    def describe(self, state: State) -> str:
        """Show the grid as text: A agent, S start, o path, + covered, . not covered; and a line with the counts."""
        signs = np.where(state.covered, "+", ".")
        return self._text(signs, state, f"covered {int(state.coverage)} of {signs.size}")


class GridCoverageEnv(KernelEnv):
    """Single environment of `GridCoverage`."""

    definition_class = GridCoverage


class GridCoverageVectorEnv(KernelVectorEnv):
    """Vector environment of `GridCoverage`."""

    definition_class = GridCoverage
