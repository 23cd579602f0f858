"""Egocentric view of a grid: a square in which walls and closed doors block the line of sight, as in Minigrid."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.surprise.codes import DOOR, EMPTY, GREY, OPEN, WALL

# Columns and rows by which one step ahead moves, by heading.
AHEAD_X = np.array([1, 0, -1, 0])
AHEAD_Y = np.array([0, 1, 0, -1])
# Each row of the view is stored in the bits of one integer.
LARGEST_VIEW = 31


@njit(cache=True)
def look(grid, x, y, heading, image):
    """Write the view from cell (x, y) to `image`.

    The agent stands in the middle of the last row of the view and faces the first; its own cell is shown as empty,
    cells out of sight are 0, and everything beyond the grid is wall.

    Visibility spreads from the agent row by row. Within a row it spreads first to the right and then to the left: from
    every visible transparent cell to its neighbour, and from both to the next row.

    Args:
        grid: uint8 (columns, rows, 3).
        x: Column.
        y: Row.
        heading: 0 right, 1 down, 2 left, 3 up.
        image: uint8 (view, view, 3), indexed [from left to right, from far to near].
    """
    view = image.shape[0]
    columns, rows = grid.shape[0], grid.shape[1]
    ahead_x, ahead_y = AHEAD_X[heading], AHEAD_Y[heading]
    right_x, right_y = -ahead_y, ahead_x
    half = view // 2
    everything = (1 << view) - 1
    seen = 1 << half
    for distance in range(view):
        j = view - 1 - distance
        if seen == 0:
            image[:, j] = 0
            continue
        left_x = x + ahead_x * distance - right_x * half
        left_y = y + ahead_y * distance - right_y * half
        clear = 0
        for i in range(view):
            cell_x, cell_y = left_x + right_x * i, left_y + right_y * i
            if 0 <= cell_x < columns and 0 <= cell_y < rows:
                kind, state = grid[cell_x, cell_y, 0], grid[cell_x, cell_y, 2]
                image[i, j, 0] = kind
                image[i, j, 1] = grid[cell_x, cell_y, 1]
                image[i, j, 2] = state
                clear |= (kind != WALL and (kind != DOOR or state == OPEN)) << i
            else:
                image[i, j, 0] = WALL
                image[i, j, 1] = GREY
                image[i, j, 2] = 0
        through = _spread(seen & clear, clear, view, True)
        seen |= through << 1 & everything
        ahead = through | through << 1
        through = _spread(seen & clear, clear, view, False)
        seen |= through >> 1
        ahead = (ahead | through | through >> 1) & everything
        for i in range(view):
            if not seen >> i & 1:
                image[i, j] = 0
        seen = ahead
    image[half, view - 1, 0] = EMPTY
    image[half, view - 1, 1] = 0
    image[half, view - 1, 2] = 0


@njit(cache=True)
def _spread(start, clear, view, rightwards):
    """Return the bits of `start` and of all runs of `clear` bits that begin there, towards higher or lower bits.

    Each round doubles the distance covered.
    """
    distance = 1
    while distance < view:
        if rightwards:
            start |= clear & (start << distance)
            clear &= clear << distance
        else:
            start |= clear & (start >> distance)
            clear &= clear >> distance
        distance *= 2
    return start
