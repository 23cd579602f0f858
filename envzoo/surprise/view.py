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

    Args:
        grid: uint8 (columns, rows, 3).
        x: Column.
        y: Row.
        heading: 0 right, 1 down, 2 left, 3 up.
        image: uint8 (view, view, 3), indexed [from left to right, from far to near].
    """
    columns, rows, view = grid.shape[0], grid.shape[1], image.shape[0]
    look_at(grid.reshape(-1), 0, columns, rows, x, y, heading, image.reshape(-1), 0, view)


@njit(cache=True)
def look_at(cells, start, columns, rows, x, y, heading, pixels, begin, view):
    """Write one view of many, as `look` does; flat arrays, because slices of arrays would take longer than the view.

    Visibility spreads from the agent row by row. Within a row it spreads first to the right and then to the left: from
    every visible transparent cell to its neighbour, and from both to the next row.

    Args:
        cells: uint8 (...,), the grids one after another.
        start: Index of the grid's first number.
        columns: Columns of the grid.
        rows: Rows of the grid.
        x: Column of the agent.
        y: Row of the agent.
        heading: 0 right, 1 down, 2 left, 3 up.
        pixels: uint8 (...,), the images one after another.
        begin: Index of the image's first number.
        view: Cells along each side of the view.
    """
    ahead_x, ahead_y = AHEAD_X[heading], AHEAD_Y[heading]
    right_x, right_y = -ahead_y, ahead_x
    half = view // 2
    everything = (1 << view) - 1
    for k in range(begin, begin + 3 * view * view):
        pixels[k] = 0
    # Steps in `cells` to the next cell to the right and ahead, and the leftmost cell of the agent's row.
    across, along = 3 * (right_x * rows + right_y), 3 * (ahead_x * rows + ahead_y)
    left_x, left_y = x - right_x * half, y - right_y * half
    first = start + 3 * (left_x * rows + left_y)
    seen = 1 << half
    for distance in range(view):
        row = begin + 3 * (view - 1 - distance)
        through = 0
        for i in range(view):
            if seen >> i & 1:
                cell_x, cell_y = left_x + right_x * i, left_y + right_y * i
                inside = 0 <= cell_x < columns and 0 <= cell_y < rows
                if _show(cells, first + across * i, inside, pixels, row + 3 * view * i):
                    through |= 1 << i
                    seen |= 2 << i & everything
        ahead = through | through << 1
        if through >> 1 & ~seen:  # seldom in the rows ahead
            for i in range(view - 2, -1, -1):
                if through >> 1 & ~seen & 1 << i:
                    seen |= 1 << i
                    cell_x, cell_y = left_x + right_x * i, left_y + right_y * i
                    inside = 0 <= cell_x < columns and 0 <= cell_y < rows
                    if _show(cells, first + across * i, inside, pixels, row + 3 * view * i):
                        through |= 1 << i
        seen = (ahead | through | through >> 1) & everything
        if seen == 0:
            break
        left_x, left_y, first = left_x + ahead_x, left_y + ahead_y, first + along
    own = begin + 3 * (half * view + view - 1)
    pixels[own] = EMPTY
    pixels[own + 1] = 0
    pixels[own + 2] = 0


@njit(cache=True)
def _show(cells, cell, inside, pixels, pixel):
    """Copy a cell to the image, a wall if it is not inside the grid; returns whether one can see through it."""
    if not inside:
        pixels[pixel] = WALL
        pixels[pixel + 1] = GREY
        return False
    kind, state = cells[cell], cells[cell + 2]
    pixels[pixel] = kind
    pixels[pixel + 1] = cells[cell + 1]
    pixels[pixel + 2] = state
    return kind != WALL and (kind != DOOR or state == OPEN)
