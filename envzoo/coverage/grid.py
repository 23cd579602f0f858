"""Tables of grids: the moves, and the disc of cells that each cell covers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

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
    offsets = range(first, last + 1)
    largest = min(rows, len(offsets)) * min(columns, len(offsets))
    check_bytes(DISC_BYTES * rows * columns * largest, f"a grid of {rows}x{columns} cells with discs of {largest}")
    lists = [
        [
            (row + down) * columns + column + right
            for down in offsets
            for right in offsets
            if 0 <= row + down < rows
            and 0 <= column + right < columns
            and ((down, right) == (0, 0) or walls is None or not walls[(row + down) * columns + column + right])
        ]
        for row in range(rows)
        for column in range(columns)
    ]
    sizes = np.array([len(cells) for cells in lists], np.int64)
    table = np.repeat(np.arange(rows * columns)[:, None], sizes.max(), axis=1)
    for cell, cells in enumerate(lists):
        table[cell, : len(cells)] = cells
    return table, sizes


def move_table(rows: int, columns: int, discs: np.ndarray, walls: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """Compute the next cell of each move and the cells it can newly cover: its disc without the old one.

    Args:
        rows: Rows of the grid.
        columns: Columns of the grid.
        discs: The table of `disc_table`, (cells, largest disc).
        walls: bool (rows * columns,), cells that cannot be entered; None for none.

    Returns:
        uint32 (cells, 5, 1 + most): the next cell, then the newly covered cells, rows padded with the next cell; and
        `most`, the largest number of newly covered cells.
    """
    moves = next_cells(rows, columns, walls)
    sets = [set(row) for row in discs.tolist()]
    lists = [[sorted(sets[after] - sets[before]) for after in row] for before, row in enumerate(moves.tolist())]
    most = max(len(cells) for row in lists for cells in row)
    # Unsigned, so that Numba need not check for negative indices.
    table = np.repeat(moves[:, :, None], 1 + most, axis=2).astype(np.uint32)
    for before, row in enumerate(lists):
        for action, cells in enumerate(row):
            table[before, action, 1 : 1 + len(cells)] = cells
    return table, most


def covered_cells(table: np.ndarray, visited: Iterable[int]) -> np.ndarray:
    """Return which cells the discs of the `visited` cells cover, bool (cells,), using the table of `disc_table`."""
    covered = np.zeros(len(table), np.bool_)
    covered[table[np.asarray(list(visited), np.int64)].ravel()] = True
    return covered
