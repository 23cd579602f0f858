"""Grids as tables: moves, and the disc of cells that each cell covers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from envzoo.errors import EnvzooError, unknown
from envzoo.kernel.arguments import check_whole
from envzoo.sizes import check_bytes

# (rows, columns) of the actions 0 stay, 1 right, 2 down, 3 left, 4 up.
MOVES = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))

DISC_BYTES = 240  # of each cell of a disc in tables, and in the lists that they are made of

_PAPER_DISCS = {"paper": 1, "paper_large": 2}


def next_cells(rows: int, columns: int, walls: np.ndarray | None = None) -> np.ndarray:
    """Where each action leads from each cell, int64 (rows * columns, 5); moves off the grid or into a wall stay.

    `walls`, bool (rows * columns,), marks the cells that nothing can enter; None for none.
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
    """The cells covered from each cell.

    Args:
        rows: Rows of the grid.
        columns: Columns of the grid.
        disc: "square" (half-width `radius`), "paper" (2x2 block to the lower right) or "paper_large" (3x3 block).
        radius: Half-width of the square disc, None for 1; must be None for the paper's discs.
        walls: bool (rows * columns,), the cells that no disc covers (but that of a wall itself); None for none.

    Returns:
        Cells int64 (rows * columns, largest disc), rows padded with the cell itself, and the sizes int64
        (rows * columns,).

    Raises:
        UnknownNameError: For an unknown disc.
        EnvzooError: For a radius that is not a whole number, or given with a disc that has none.
    """
    if disc not in ("square", *_PAPER_DISCS):
        raise unknown("disc", disc, ("square", *_PAPER_DISCS))
    if disc == "square":
        radius = 1 if radius is None else radius
        radius = min(check_whole("radius", radius, 0), max(rows, columns))  # no cell lies further away
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
    """Where each move leads, and what it can newly cover: the part of the new disc that lies outside the old one.

    Args:
        rows: Rows of the grid.
        columns: Columns of the grid.
        discs: The table of `disc_table`, (cells, largest disc).
        walls: bool (rows * columns,), the cells that nothing can enter; None for none.

    Returns:
        uint32 (cells, 5, 1 + most): the cell moved to, then the cells newly covered, each row filled up with the cell
        moved to; and `most`, the largest number of them.
    """
    moves = next_cells(rows, columns, walls)
    sets = [set(row) for row in discs.tolist()]
    lists = [[sorted(sets[after] - sets[before]) for after in row] for before, row in enumerate(moves.tolist())]
    most = max(len(cells) for row in lists for cells in row)
    # Unsigned, because Numba need not ask whether such an index counts from the end.
    table = np.repeat(moves[:, :, None], 1 + most, axis=2).astype(np.uint32)
    for before, row in enumerate(lists):
        for action, cells in enumerate(row):
            table[before, action, 1 : 1 + len(cells)] = cells
    return table, most


def covered_cells(table: np.ndarray, visited: Iterable[int]) -> np.ndarray:
    """Which cells the discs of the `visited` cells cover, bool (cells,), for the table of `disc_table`."""
    covered = np.zeros(len(table), np.bool_)
    covered[table[np.asarray(list(visited), np.int64)].ravel()] = True
    return covered
