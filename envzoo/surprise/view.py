"""Egocentric view of a grid: a square in which walls and closed doors block the line of sight, as in Minigrid."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.surprise.cells import EMPTY_CELL, FIRST_CLOSED, FIRST_WALL, WALL_CELL, unpack_to
from envzoo.surprise.codes import COLOURS

# Columns and rows by which one step ahead moves, by heading.
AHEAD_X = np.array([1, 0, -1, 0])
AHEAD_Y = np.array([0, 1, 0, -1])
# Each row of the view is stored in the bits of one integer.
LARGEST_VIEW = 31
_WALLS_END = FIRST_WALL + COLOURS


@njit(cache=True)
def look(grid, x, y, heading, image):
    """Write the view from cell (x, y) to `image`.

    The agent stands in the middle of the last row of the view and faces the first; its own cell is shown as empty,
    cells out of sight are 0, and everything beyond the grid is wall.

    Args:
        grid: uint8 (columns, rows), see `envzoo.surprise.cells`.
        x: Column.
        y: Row.
        heading: 0 right, 1 down, 2 left, 3 up.
        image: uint8 (view, view, 3), Minigrid's codes, indexed [from left to right, from far to near].
    """
    columns, rows, view = grid.shape[0], grid.shape[1], image.shape[0]
    shown = np.empty(view * view, np.uint8)
    look_at(grid.reshape(-1), 0, columns, rows, x, y, heading, shown, 0, view)
    unpack_to(shown, shown.size, image.reshape(-1), 0)


@njit(cache=True)
def look_at(cells, start, columns, rows, x, y, heading, shown, begin, view):
    """Write one view of many as cells; flat arrays, because slices of arrays would take longer than the view.

    Visibility spreads from the agent row by row. Within a row it spreads first to the right and then to the left: from
    every visible transparent cell to its neighbour, and from both to the next row. The cells of a row are the bits of
    an integer, so that it spreads to all of them at once: there is no branch for each cell, whose outcome the processor
    would have to guess.

    Args:
        cells: uint8 (...,), the grids one after another.
        start: Index of the grid's first cell.
        columns: Columns of the grid.
        rows: Rows of the grid.
        x: Column of the agent.
        y: Row of the agent.
        heading: 0 right, 1 down, 2 left, 3 up.
        shown: uint8 (...,), the views one after another, indexed as the image of `look`.
        begin: Index of the view's first cell.
        view: Cells along each side of the view.
    """
    ahead_x, ahead_y = AHEAD_X[heading], AHEAD_Y[heading]
    right_x, right_y = -ahead_y, ahead_x
    half = view // 2
    everything = (1 << view) - 1
    for k in range(begin, begin + view * view):
        shown[k] = 0
    # Cells of the grid ahead, the agent's included, and to its left and right; those of a row that are in the grid.
    ahead_of, right_of = (
        _distance(x, y, ahead_x, ahead_y, columns, rows),
        _distance(x, y, right_x, right_y, columns, rows),
    )
    left_of = _distance(x, y, -right_x, -right_y, columns, rows)
    least, end = max(half - left_of, 0), min(half + right_of + 1, view)
    inside = (1 << end) - (1 << least)
    # Steps in `cells` to the next cell to the right and ahead, and the leftmost cell of the agent's row.
    across, along = right_x * rows + right_y, ahead_x * rows + ahead_y
    first = start + x * rows + y - half * across
    seen = 1 << half
    for distance in range(view):
        if distance > ahead_of:
            inside, end = 0, least
        clear = 0
        for i in range(least, end):
            cell = np.int64(cells[first + across * i])
            clear |= (cell < FIRST_CLOSED and not FIRST_WALL <= cell < _WALLS_END) << i
        # The carry of the sum runs from each seen cell to the right through the clear ones.
        through = seen & clear
        through = ((clear + through) ^ clear | through) & clear
        seen = (seen | through << 1) & everything
        ahead = through | through << 1
        further = through >> 1 & ~seen  # to the left; seldom in the rows ahead
        while further:
            seen |= further
            through |= further & clear
            further = through >> 1 & ~seen
        row = begin + view - 1 - distance
        for i in range(least, end):
            shown[row + view * i] = cells[first + across * i] if seen >> i & 1 else 0
        if seen & ~inside:
            for i in range(view):
                if seen & ~inside & 1 << i:
                    shown[row + view * i] = WALL_CELL
        seen = (ahead | through | through >> 1) & everything
        if seen == 0:
            break
        first += along
    shown[begin + half * view + view - 1] = EMPTY_CELL


@njit(cache=True)
def _distance(x, y, step_x, step_y, columns, rows):
    """Return how many steps lead from a cell to the border of the grid."""
    if step_x:
        return columns - 1 - x if step_x > 0 else x
    return rows - 1 - y if step_y > 0 else y
