"""Tables of grids: the moves, and the disc of cells that each cell covers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError, unknown
from envzoo.kernel.arguments import check_whole
from envzoo.sizes import check_bytes

# (rows, columns) of the actions 0 stay, 1 right, 2 down, 3 left, 4 up.
MOVES = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))

DISC_BYTES = 240  # bytes per cell of a disc in the tables and in the lists they are built from

_PAPER_DISCS = {"paper": 1, "paper_large": 2}


def next_cells(rows: int, columns: int, walls: np.ndarray | None = None) -> np.ndarray:
    """Compute the next cell by cell and action, int64 (rows * columns, 5); moves off the grid or into a wall stay.

    `walls`, bool (rows * columns,), marks the cells that cannot be entered; None for none.
    """
    row, column = np.divmod(np.arange(rows * columns), columns)
    table = np.empty((rows * columns, len(MOVES)), np.int64)
    for action, (down, right) in enumerate(MOVES):
        inside = (row + down >= 0) & (row + down < rows) & (column + right >= 0) & (column + right < columns)
        table[:, action] = np.where(inside, (row + down) * columns + column + right, row * columns + column)
    if walls is not None:
        table = np.where(walls[table], np.arange(rows * columns)[:, None], table)
    return table


def disc_table(
    rows: int, columns: int, disc: str, radius: int | None, walls: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the cells covered from each cell.

    Args:
        rows: Rows of the grid.
        columns: Columns of the grid.
        disc: "square" (half-width `radius`), "paper" (2x2 block to the lower right) or "paper_large" (3x3 block).
        radius: Half-width of the square disc, None for 1; must be None for the paper's discs.
        walls: bool (rows * columns,), cells that no disc covers (except the disc of the wall itself); None for none.

    Returns:
        Cells int64 (rows * columns, largest disc), rows padded with the cell itself, and the sizes of the discs, int64
        (rows * columns,).

    Raises:
        UnknownNameError: The disc is unknown.
        EnvzooError: The radius is not a whole number, or the disc has a fixed size.
    """
    if disc not in ("square", *_PAPER_DISCS):
        raise unknown("disc", disc, ("square", *_PAPER_DISCS))
    if disc == "square":
        radius = 1 if radius is None else radius
        radius = min(check_whole("radius", radius, 0), max(rows, columns))  # no cell is further away
        first, last = -radius, radius
    else:
        if radius is not None:
            raise EnvzooError(
                f"radius is {radius!r} but disc {disc!r} has a fixed size; expected disc='square' or no radius"
            )
        first, last = 0, _PAPER_DISCS[disc]
    width = last - first + 1
    largest = min(rows, width) * min(columns, width)
    check_bytes(DISC_BYTES * rows * columns * largest, f"a grid of {rows}x{columns} cells with discs of {largest}")
    cells = np.arange(rows * columns)
    row, column = np.divmod(cells, columns)
    table, sizes = np.repeat(cells[:, None], largest, axis=1), np.zeros(rows * columns, np.int64)
    for down in range(max(first, 1 - rows), min(last, rows - 1) + 1):
        for right in range(max(first, 1 - columns), min(last, columns - 1) + 1):
            inside = (row + down >= 0) & (row + down < rows) & (column + right >= 0) & (column + right < columns)
            from_cells = cells[inside]
            to_cells = from_cells + down * columns + right
            if walls is not None and (down, right) != (0, 0):
                from_cells, to_cells = from_cells[~walls[to_cells]], to_cells[~walls[to_cells]]
            table[from_cells, sizes[from_cells]] = to_cells
            sizes[from_cells] += 1
    return np.ascontiguousarray(table[:, : sizes.max()]), sizes


def move_table(rows: int, columns: int, discs: np.ndarray, walls: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """Compute the next cell of each move and the cells it can newly cover: its disc without the old one.

    Args:
        rows: Rows of the grid.
        columns: Columns of the grid.
        discs: The table of `disc_table`, (cells, largest disc), each disc in ascending order.
        walls: bool (rows * columns,), cells that cannot be entered; None for none.

    Returns:
        uint32 (cells, 5, 1 + most): the next cell, then the newly covered cells, rows padded with the next cell; and
        `most`, the largest number of newly covered cells.
    """
    moves = next_cells(rows, columns, walls)
    newly, most = _newly_covered(moves, discs)
    # Unsigned, so that Numba need not check for negative indices.
    return np.concatenate([moves[:, :, None], newly[:, :, :most]], axis=2).astype(np.uint32), most


@njit(cache=True)
def _newly_covered(moves, discs):
    """List the cells that each move can newly cover, (cells, 5, largest disc), and the length of the longest list."""
    newly = np.empty((*moves.shape, discs.shape[1]), np.int64)
    present, taken = np.full(len(moves), -1), np.full(len(moves), -1)  # who last marked a cell
    most = 0
    for cell in range(len(moves)):
        for covered in discs[cell]:
            present[covered] = cell
        for action in range(moves.shape[1]):
            after, visit, count = moves[cell, action], cell * moves.shape[1] + action, 0
            newly[cell, action] = after
            for covered in discs[after]:
                if present[covered] != cell and taken[covered] != visit:
                    taken[covered] = visit
                    newly[cell, action, count] = covered
                    count += 1
            most = max(most, count)
    return newly, most


def covered_cells(table: np.ndarray, visited: Iterable[int]) -> np.ndarray:
    """Return which cells the discs of the `visited` cells cover, bool (cells,), using the table of `disc_table`."""
    covered = np.zeros(len(table), np.bool_)
    covered[table[np.asarray(list(visited), np.int64)].ravel()] = True
    return covered
