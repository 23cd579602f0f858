"""GridCoverage: walk a grid and cover as much of it as possible (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.coverage.grid import MOVES, covered_cells, disc_table, move_table
from envzoo.errors import EnvzooError, unknown
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.stream import integer

RANDOM_START = -1
NO_OPTION = -2


class Parameters(NamedTuple):
    """What all episodes share."""

    start: int  # a cell, or RANDOM_START
    horizon: int
    disc: np.ndarray  # int64 (cells, largest disc), each row filled up with the cell itself
    disc_size: np.ndarray  # int64 (cells,)
    moves: np.ndarray  # uint32 (cells, 5, 1 + most): the next cell, then what its disc has outside the old one


class State(NamedTuple):
    """One episode."""

    position: Any  # int64 (2,): the cell, and the number of moves made
    coverage: Any  # F of the path so far
    covered: Any  # bool (cells,)
    path: Any  # int32 (horizon + 1,), cells visited so far, -1 beyond


class Infos(NamedTuple):
    """What `info` holds."""

    modular_reward: Any
    coverage: Any


class Options(NamedTuple):
    """What `reset(options=...)` takes."""

    start: Any


class Observation(NamedTuple):
    """The observation with `coverage_mask=True`."""

    position: Any
    covered: Any


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    cells = parameters.disc_size.size
    for i in range(where.size):
        if where[i]:
            start = parameters.start if options.start[i] == NO_OPTION else options.start[i]
            if start == RANDOM_START:
                start = integer(streams, i, cells)
            state.covered[i] = False
            for k in range(parameters.disc_size[start]):
                state.covered[i, parameters.disc[start, k]] = True
            state.path[i] = -1
            state.path[i, 0] = start
            state.position[i, 0] = start
            state.position[i, 1] = 0
            state.coverage[i] = parameters.disc_size[start]
            infos.modular_reward[i] = 0.0
            infos.coverage[i] = state.coverage[i]


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            row = parameters.moves[state.position[i, 0], actions[i]]
            # The marginal gain F(s | path). The old disc is covered already, so only the rest of the new one can
            # count; the row's filling counts nothing, being a cell that is counted elsewhere or covered.
            gain = 0
            for k in range(1, row.size):
                gain += 1 - np.int64(state.covered[i, row[k]])
                state.covered[i, row[k]] = True
            cell, move = row[0], state.position[i, 1] + 1
            coverage = state.coverage[i] + gain
            state.position[i, 0] = cell
            state.position[i, 1] = move
            state.path[i, move] = cell
            state.coverage[i] = coverage
            rewards[i] = gain
            terminated[i] = move == parameters.horizon
            infos.modular_reward[i] = parameters.disc_size[cell]
            infos.coverage[i] = coverage


@njit(cache=True)
def observe_position(parameters, state, observation):
    """Observation kernel without the mask."""
    for i in range(state.position.shape[0]):
        observation[i, 0] = state.position[i, 0]
        observation[i, 1] = state.position[i, 1]


@njit(cache=True)
def observe_with_mask(parameters, state, observation):
    """Observation kernel with the mask."""
    columns = observation.covered.shape[2]
    for i in range(state.covered.shape[0]):
        observation.position[i, 0] = state.position[i, 0]
        observation.position[i, 1] = state.position[i, 1]
        for cell in range(state.covered.shape[1]):
            observation.covered[i, cell // columns, cell % columns] = state.covered[i, cell]


class GridCoverage(Definition):
    """Walk a grid and cover as much of it as possible within a fixed number of moves.

    ## Description
    Standing on a cell covers a disc of cells around it. The value of a path is the number of cells covered by the
    union of its discs, F(path): a monotone submodular set function, so covering ground a second time is worth nothing.
    The reward of a move is its marginal gain F(path + new cell) - F(path), which lets any agent work on the problem,
    while the best action depends on what has been covered before. Moves are deterministic. The environment is the
    coverage task of submodular reinforcement learning (Prajapat et al., "Submodular Reinforcement Learning", ICLR
    2024, arXiv 2307.13372).

    ## Action space
    `Discrete(5)`. A move off the grid leaves the agent where it is.

    | action | move |
    |---|---|
    | 0 | stay |
    | 1 | right (column + 1) |
    | 2 | down (row + 1) |
    | 3 | left (column - 1) |
    | 4 | up (row - 1) |

    ## Observation space
    `MultiDiscrete([rows * columns, horizon + 1])`: the cell (row * columns + column) and the number of moves made.
    With `coverage_mask=True` a `Dict` of `position` (that pair) and `covered`, `MultiBinary([rows, columns])`: without
    the mask, or a memory, the future gains are hidden from the agent.

    ## Reward
    The number of newly covered cells (weight 1 each). The disc of the start is not part of the return: the return of
    an episode is F(path) - F({start}).

    ## Info
    After every reset and step: `coverage`, F of the path so far, the start's disc included; `modular_reward`, the size
    of the disc of the new cell, covered before or not (0 after a reset), which is the additive reward of the paper's
    ModPO baseline.

    ## Start of an episode
    The cell given by `start`, or by `reset(options={"start": ...})`: a cell index, one of the names below, or an
    integer array with a cell index for each episode.

    ## End of an episode
    Terminates after `horizon` moves. This is not a time limit laid over an endless task, which would be a truncation:
    the finite horizon defines the problem, the step number is part of the observation, and nothing can be earned
    after it, so an agent must not bootstrap past it.

    ## Arguments
    - `rows`, `columns` (10, 10): size of the grid.
    - `disc` ("square"): "square" is the square of half-width `radius` around the cell; "paper" is what the paper's
      released code uses, {the cell, right, down, down-right}; "paper_large" is that map applied twice, the 3x3 block
      with the cell in its upper left corner. All are cut off at the border.
    - `radius` (1 for the square): half-width of the square disc; only for `disc="square"`.
    - `horizon` (20): number of moves.
    - `start` ("corner"): "corner" (cell 0), "centre" (row rows // 2, column columns // 2), "random" (uniform), a cell
      index, or a pair (row, column).
    - `coverage_mask` (False): whether the observation shows what has been covered.

    ## Registered ids
    - `envzoo/GridCoverage-v0`: the defaults above.
    - `envzoo/GridCoverage-Paper-v0`: the paper's coverage task as its code sets it: 30x30, 79 moves (80 states), start
      in cell 34, `disc="paper"`.
    - `envzoo/GridCoverage-PaperLarge-v0`: the same with `disc="paper_large"`.
    """

    observation_type = Observation
    option_names = ("start",)

    def __init__(
        self,
        rows: int = 10,
        columns: int = 10,
        radius: int | None = None,
        horizon: int = 20,
        start: str | int | tuple[int, int] = "corner",
        disc: str = "square",
        coverage_mask: bool = False,
    ) -> None:
        for name, value, least in (("rows", rows, 1), ("columns", columns, 1), ("horizon", horizon, 1)):
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise EnvzooError(f"{name} is {value!r}; expected a whole number of at least {least}")
        self.rows, self.columns, self.horizon = int(rows), int(columns), int(horizon)
        cells = self.rows * self.columns
        table, sizes = disc_table(self.rows, self.columns, disc, radius)
        moves, self._most_fresh = move_table(self.rows, self.columns, table)
        self.parameters = Parameters(self._start_cell(start), self.horizon, table, sizes, moves)
        self.state = State(
            position=(np.int64, (2,)),
            coverage=np.int64,
            covered=(np.bool_, (cells,)),
            path=(np.int32, (self.horizon + 1,)),
        )
        self.infos = Infos(modular_reward=np.float64, coverage=np.float64)
        position = spaces.MultiDiscrete([cells, self.horizon + 1])
        self.action_space = spaces.Discrete(len(MOVES))
        if coverage_mask:
            mask = spaces.MultiBinary([self.rows, self.columns])
            self.observation_space = spaces.Dict({"position": position, "covered": mask})
            self.kernels = Kernels(reset, step, observe_with_mask)
        else:
            self.observation_space = position
            self.kernels = Kernels(reset, step, observe_position)

    # ------------------------------------------------------- the set function

    def value(self, cells: Iterable[int]) -> int:
        """F of a set of visited cells: the number of cells that the union of their discs covers."""
        return int(covered_cells(self.parameters.disc, cells).sum())

    def disc_of(self, cell: int) -> np.ndarray:
        """The cells that standing on `cell` covers, int64, ascending."""
        return np.sort(self.parameters.disc[cell, : self.parameters.disc_size[cell]])

    @property
    def upper_bound(self) -> int:
        """An upper bound on F of any path from the configured start (from any cell, for a random start).

        |disc(start)| + horizon * (the most cells that one move can add), and never more than the grid has. A move adds
        at most the part of the new disc that lies outside the old one, since the old one is covered already.
        """
        sizes = self.parameters.disc_size
        start = self.parameters.start
        first = int(sizes.max() if start == RANDOM_START else sizes[start])
        return min(first + self.horizon * self._most_fresh, sizes.size)

    # ---------------------------------------------------------------- options

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """The start cells asked for in `reset(options=...)`."""
        start = given.get("start", NO_OPTION)
        if isinstance(start, str):
            start = self._start_cell(start)
        elif "start" in given:
            array = np.asarray(start)
            cells = self.rows * self.columns
            fits = array.dtype.kind in "iu" and array.shape in ((), (num_envs,))
            if not fits or array.min() < 0 or array.max() >= cells:
                raise EnvzooError(
                    f"reset option start is {start!r}; expected a cell from 0 to {cells - 1}, an integer array of "
                    f"{num_envs} of them, or 'corner', 'centre' or 'random'"
                )
        return Options(start=np.broadcast_to(np.asarray(start, np.int64), (num_envs,)).copy())

    def _start_cell(self, start: str | int | tuple[int, int]) -> int:
        names = {"corner": 0, "centre": self.rows // 2 * self.columns + self.columns // 2, "random": RANDOM_START}
        if isinstance(start, str):
            if start not in names:
                raise unknown("start", start, names)
            return names[start]
        pair = np.asarray(start)
        if pair.dtype.kind in "iu":
            if pair.shape == () and 0 <= pair < self.rows * self.columns:
                return int(pair)
            if pair.shape == (2,) and 0 <= pair[0] < self.rows and 0 <= pair[1] < self.columns:
                return int(pair[0] * self.columns + pair[1])
        raise EnvzooError(
            f"start is {start!r}; expected 'corner', 'centre', 'random', a cell from 0 to "
            f"{self.rows * self.columns - 1} or a pair (row below {self.rows}, column below {self.columns})"
        )

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """The grid: covered cells shaded, the current disc stronger, the path, its start and the agent."""
        size = max(8, min(36, 360 // max(self.rows, self.columns)))
        # Even numbers of pixels, which video encoders ask for.
        width, height = ((n * size + 2) // 2 * 2 for n in (self.columns, self.rows))
        canvas = art.Canvas(width, height, art.GRID)
        now = set(self.disc_of(int(state.position[0])).tolist())
        for cell in range(self.rows * self.columns):
            y, x = cell // self.columns * size, cell % self.columns * size
            colour = art.MID_BLUE if cell in now else art.PALE_BLUE if state.covered[cell] else art.PAPER
            canvas.rectangle(x + 1, y + 1, x + size, y + size, colour)
        path = [self._centre(cell, size) for cell in state.path[: state.position[1] + 1].tolist()]
        canvas.line(path, art.BLUE, max(1.5, size / 10))
        canvas.circle(*path[0], size * 0.3, art.BLUE, max(1.0, size / 14))
        canvas.disc(*path[-1], size * 0.28, art.ORANGE)
        return canvas.image()

    def describe(self, state: State) -> str:
        """The grid as text: A agent, S start, o path, + covered, . not covered; and a line with the counts."""
        signs = np.where(state.covered, "+", ".")
        signs[state.path[: state.position[1] + 1]] = "o"
        signs[state.path[0]] = "S"
        signs[state.position[0]] = "A"
        lines = [" ".join(row) for row in signs.reshape(self.rows, self.columns)]
        count = f"move {int(state.position[1])} of {self.horizon}, covered {int(state.coverage)} of {signs.size}"
        return "\n".join([*lines, count])

    def _centre(self, cell: int, size: int) -> tuple[float, float]:
        return (cell % self.columns + 0.5) * size + 0.5, (cell // self.columns + 0.5) * size + 0.5


class GridCoverageEnv(KernelEnv):
    """The single face of `GridCoverage`."""

    definition_class = GridCoverage


class GridCoverageVectorEnv(KernelVectorEnv):
    """The vector face of `GridCoverage`."""

    definition_class = GridCoverage
