"""Egocentric view of a grid: a square in which walls and closed doors block the line of sight, as in Minigrid."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.surprise.cells import EMPTY_CELL, FIRST_CLOSED, LAST, WALL_CELL, unpack_to
from envzoo.surprise.codes import COLOURS, WALL

# Columns and rows by which one step ahead moves, by heading.
AHEAD_X = np.array([1, 0, -1, 0])
AHEAD_Y = np.array([0, 1, 0, -1])
# Each row of the view is stored in the bits of one integer.
LARGEST_VIEW = 31
# Whether one can see through a cell, int64.
_CLEAR = np.array([cell < FIRST_CLOSED and cell // COLOURS != WALL for cell in range(LAST + 1)], np.int64)
_ONE, _UNSEEN = np.uint64(1), np.uint8(0)


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
    shown = np.zeros(view * view, np.uint8)
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
        shown: uint8 (...,), the views one after another, indexed as the image of `look`; zeros at this view.
        begin: Index of the view's first cell.
        view: Cells along each side of the view.
    """
    ahead_x, ahead_y = AHEAD_X[heading], AHEAD_Y[heading]
    right_x, right_y = -ahead_y, ahead_x
    half = view // 2
    everything = (1 << view) - 1
    # How far the grid reaches, and which cells of a row of the view lie in it: `width` cells from number `least` on.
    depth = _distance(x, y, ahead_x, ahead_y, columns, rows)
    least = max(half - _distance(x, y, -right_x, -right_y, columns, rows), 0)
    width = min(half + 1 + _distance(x, y, right_x, right_y, columns, rows), view) - least
    # Steps in `cells` to the next cell to the right and ahead, and the leftmost cell of the agent's row; unsigned, so
    # that Numba need not check for negative indices.
    across, along = np.uint64(right_x * rows + right_y), np.uint64(ahead_x * rows + ahead_y)
    first = np.uint64(start + x * rows + y) - np.uint64(half - least) * across
    pixel = np.uint64(begin + view * least + view - 1)
    seen = 1 << half
    for distance in range(view):
        if distance > depth:
            width = 0
        clear, cell = 0, first
        for i in range(width):
            clear |= _CLEAR[cells[cell]] << i
            cell += across
        clear <<= least
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
        left, cell, shown_at = seen >> least, first, pixel
        for _ in range(width):
            shown[shown_at] = cells[cell] if left & 1 else _UNSEEN
            left >>= 1
            cell += across
            shown_at += np.uint64(view)
        outside = seen & ~(((1 << width) - 1) << least)
        if outside:
            for i in range(view):
                if outside >> i & 1:
                    shown[begin + view * i + view - 1 - distance] = WALL_CELL
        seen = (ahead | through | through >> 1) & everything
        if seen == 0:
            break
        first += along
        pixel -= _ONE
    shown[begin + half * view + view - 1] = EMPTY_CELL


@njit(cache=True)
def _distance(x, y, step_x, step_y, columns, rows):
    """Return how many steps lead from a cell to the border of the grid."""
    if step_x:
        return columns - 1 - x if step_x > 0 else x
    return rows - 1 - y if step_y > 0 else y
