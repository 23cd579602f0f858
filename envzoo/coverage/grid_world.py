"""GridWorld: base of walks on a grid, with start, slippery moves, arguments, observations and rendering."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.coverage.grid import MOVES
from envzoo.errors import EnvzooError, unknown
from envzoo.kernel import Definition
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_number, check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.sizes import check_bytes

RANDOM_START = -1
NO_OPTION = -2
CELL_BYTES = 128  # bytes per cell of the tables and of their construction


class Walk(NamedTuple):
    """Parameters of the walk shared by all episodes, as `parameters.walk`."""

    start: int  # start cell, or RANDOM_START
    starts: np.ndarray  # int64 (n,), candidates of a random start
    horizon: int
    stochasticity: float


class Infos(NamedTuple):
    """Entries of `info`."""

    modular_reward: Any
    coverage: Any


class Options(NamedTuple):
    """Options of `reset`."""

    start: Any


class MaskObservation(NamedTuple):
    """Observation with `coverage_mask=True`."""

    position: Any
    covered: Any


@njit(cache=True)
def begin(walk, state, streams, where, options):
    """Place the episodes marked in `where` on their start cells, with nothing covered.

    Called before the loop over episodes, because random draws inside the loop, even if never reached, and writing rows
    there make it many times slower.

    Returns:
        The start cells int64 (num_envs,); meaningless outside `where`.
    """
    starts = _start_cells(walk, streams, where, options)
    _fill_rows(state.path, where, -1)
    _fill_rows(state.covered, where, False)
    for i in range(where.size):
        if where[i]:
            state.path[i, 0] = starts[i]
            state.position[i, 0] = starts[i]
            state.position[i, 1] = 0
    return starts


@njit(cache=True)
def _start_cells(walk, streams, where, options):
    starts = options.start.copy()
    random = False
    for i in range(where.size):
        if starts[i] == NO_OPTION:
            starts[i] = walk.start
        random |= starts[i] == RANDOM_START
    if random:
        for i in range(where.size):
            if where[i] and starts[i] == RANDOM_START:
                starts[i] = walk.starts[integer(streams, i, walk.starts.size)]
    return starts


@njit(cache=True)
def _fill_rows(array, where, value):
    """Write a value to the rows of a matrix that are marked in `where`."""
    for i in range(where.size):
        if where[i]:
            for k in range(array.shape[1]):
                array[i, k] = value


@njit(cache=True)
def carried_out(walk, streams, where, actions):
    """Determine the executed actions: each is replaced with probability `walk.stochasticity` by a uniform one.

    Called before the loop over episodes, as `begin`. A deterministic world draws nothing and returns its input array.
    """
    if walk.stochasticity == 0.0:
        return actions
    actions = actions.copy()
    for i in range(where.size):
        if where[i] and uniform(streams, i) < walk.stochasticity:
            actions[i] = integer(streams, i, len(MOVES))
    return actions


@njit(cache=True)
def arrive(walk, state, i, cell):
    """Record that episode i has moved to `cell`; returns whether that was its last move."""
    move = state.position[i, 1] + 1
    state.position[i, 0] = cell
    state.position[i, 1] = move
    state.path[i, move] = cell
    return move == walk.horizon


@njit(cache=True)
def observe_position(parameters, state, observation):
    """Observation kernel: the cell and the number of moves so far."""
    for i in range(state.position.shape[0]):
        observation[i, 0] = state.position[i, 0]
        observation[i, 1] = state.position[i, 1]


@njit(cache=True)
def observe_with_mask(parameters, state, observation):
    """Observation kernel: the position and the covered cells (`state.covered`)."""
    observe_position(parameters, state, observation.position)
    columns = observation.covered.shape[2]
    for i in range(state.covered.shape[0]):
        for cell in range(state.covered.shape[1]):
            observation.covered[i, cell // columns, cell % columns] = state.covered[i, cell]


def read_starts(
    given: Mapping[str, Any], num_envs: int, by_name: Callable[[str], int], place: str, count: int, names: str
) -> np.ndarray:
    """Read the reset option `start` as the index of a place for each episode, int64 (num_envs,).

    Args:
        given: The options of `reset`; without a start the result is NO_OPTION.
        num_envs: Number of episodes.
        by_name: Converts a name to an index.
        place: What the indices count, for the error.
        count: Number of places.
        names: The names, for the error.

    Raises:
        EnvzooError: The start is neither a name, nor an index, nor an array with one index per episode.
    """
    start = given.get("start", NO_OPTION)
    if isinstance(start, str):
        start = by_name(start)
    elif "start" in given:
        array = np.asarray(start)
        fits = array.dtype.kind in "iu" and array.shape in ((), (num_envs,))
        if not fits or array.min() < 0 or array.max() >= count:
            raise EnvzooError(
                f"reset option start is {start!r}; expected a {place} from 0 to {count - 1}, an integer array of "
                f"{num_envs} of them, or {names}"
            )
    return np.broadcast_to(np.asarray(start, np.int64), (num_envs,)).copy()


def mixed(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Mix the colours `first` and `second` (3,) to colours (n, 3); `share` (n,) in [0, 1] weights the second."""
    share = np.clip(share, 0.0, 1.0)[:, None]
    return (1 - share) * np.asarray(first) + share * np.asarray(second)


class GridWorld(Definition):
    """A walk on a grid with a fixed number of moves; subclasses define its value.

    The state of subclasses has `position`, int64 (2,): cell and number of moves so far, and `path`, int32 (horizon +
    1,): the cells visited so far, then -1. `_lay_out` must be called first in `__init__`.

    Attributes:
        rows: Rows of the grid.
        columns: Columns of the grid.
        cells: rows * columns.
        horizon: Number of moves.
        walls: bool (cells,), cells that cannot be entered; None for none.
    """

    option_names = ("start",)

    def _lay_out(self, rows: int, columns: int, horizon: int, walls: np.ndarray | None = None) -> None:
        self.rows, self.columns = check_whole("rows", rows, 1), check_whole("columns", columns, 1)
        self.horizon = check_whole("horizon", horizon, 1)
        self.cells = self.rows * self.columns
        check_bytes(CELL_BYTES * self.cells, f"a grid of {self.rows}x{self.columns} cells")
        self.walls = walls
        self.action_space = spaces.Discrete(len(MOVES))
        self.infos = Infos(modular_reward=np.float64, coverage=np.float64)
        last = self.cells - 1
        self.limits = {"position": ((0, 0), (last, self.horizon)), "path": (-1, last)}
        self.running_limits = {"position": ((0, 0), (last, self.horizon - 1))}

    def _walk(self, start: str | int | tuple[int, int], stochasticity: float) -> Walk:
        """Build the parameters of the walk."""
        slips = check_number("stochasticity", stochasticity, 0, 1)
        return Walk(self._start_cell(start), self._starts(), self.horizon, slips)

    def _starts(self) -> np.ndarray:
        """Return the candidates of a random start, int64, ascending."""
        return np.arange(self.cells) if self.walls is None else np.flatnonzero(~self.walls)

    def _spaces(self, **shown: spaces.Space | None) -> spaces.Space:
        """Build the observation space: the position, joined with those of `shown` that are not None."""
        position = spaces.MultiDiscrete([self.cells, self.horizon + 1])
        shown = {name: space for name, space in shown.items() if space is not None}
        return spaces.Dict({"position": position, **shown}) if shown else position

    # ---------------------------------------------------------------- options

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the start cells from the reset options."""
        names = "'corner', 'centre' or 'random'"
        starts = read_starts(given, num_envs, self._start_cell, "cell", self.cells, names)
        for cell in dict.fromkeys(starts[starts >= 0].tolist()):
            self._require_open(cell)
        return Options(start=starts)

    def _start_cell(self, start: str | int | tuple[int, int]) -> int:
        names = {"corner": 0, "centre": self.rows // 2 * self.columns + self.columns // 2, "random": RANDOM_START}
        if isinstance(start, str):
            if start not in names:
                raise unknown("start", start, names)
            return names[start] if start == "random" else self._require_open(names[start])
        pair = np.asarray(start)
        if pair.dtype.kind in "iu":
            if pair.shape == () and 0 <= pair < self.cells:
                return self._require_open(int(pair))
            if pair.shape == (2,) and 0 <= pair[0] < self.rows and 0 <= pair[1] < self.columns:
                return self._require_open(int(pair[0] * self.columns + pair[1]))
        raise EnvzooError(
            f"start is {start!r}; expected 'corner', 'centre', 'random', a cell from 0 to "
            f"{self.cells - 1} or a pair (row below {self.rows}, column below {self.columns})"
        )

    def _require_open(self, cell: int) -> int:
        if self.walls is not None and self.walls[cell]:
            nearest = min(
                self._starts().tolist(),
                key=lambda other: (
                    abs(other // self.columns - cell // self.columns) + abs(other % self.columns - cell % self.columns)
                ),
            )
            raise EnvzooError(f"start cell {cell} is a wall; expected an open cell, the nearest is {nearest}")
        return cell

    # ---------------------------------------------------------------- drawing

    def _cell_size(self) -> int:
        return max(8, min(36, 360 // max(self.rows, self.columns)))

    def _canvas(self, colours: np.ndarray) -> art.Canvas:
        """Make a canvas with the cells in their `colours` (cells, 3)."""
        size = self._cell_size()
        # Even numbers of pixels, as video encoders require.
        width, height = ((n * size + 2) // 2 * 2 for n in (self.columns, self.rows))
        canvas = art.Canvas(width, height, art.GRID)
        for cell, colour in enumerate(np.rint(colours).astype(int).tolist()):
            y, x = cell // self.columns * size, cell % self.columns * size
            canvas.rectangle(x + 1, y + 1, x + size, y + size, tuple(colour))
        return canvas

    def _draw_path(self, canvas: art.Canvas, state: Any, colour: tuple[int, int, int] = art.BLUE) -> None:
        """Draw the path, a ring around its start, and the agent."""
        size = self._cell_size()
        path = [self._centre(cell) for cell in state.path[: state.position[1] + 1].tolist()]
        canvas.line(path, colour, max(1.5, size / 10))
        canvas.circle(*path[0], size * 0.3, colour, max(1.0, size / 14))
        canvas.disc(*path[-1], size * 0.28, art.ORANGE)

    def _centre(self, cell: int) -> tuple[float, float]:
        size = self._cell_size()
        return (cell % self.columns + 0.5) * size + 0.5, (cell // self.columns + 0.5) * size + 0.5

    def _text(self, signs: np.ndarray, state: Any, count: str) -> str:
        """Show the grid as text: `signs` (cells,), on top o path, S start, A agent, # walls; then the line `count`."""
        signs = signs.astype("U1")
        if self.walls is not None:
            signs[self.walls] = "#"
        signs[state.path[: state.position[1] + 1]] = "o"
        signs[state.path[0]] = "S"
        signs[state.position[0]] = "A"
        lines = [" ".join(row) for row in signs.reshape(self.rows, self.columns)]
        return "\n".join([*lines, f"move {int(state.position[1])} of {self.horizon}, {count}"])
