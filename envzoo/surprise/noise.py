"""Noise of the rooms: tiles that change colour, balls that wander, and the television; see `SurpriseRooms`."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.kernel.stream import bits, integer
from envzoo.surprise.cells import EMPTY_CELL, FIRST_TILE
from envzoo.surprise.codes import BALL, COLOURS, EMPTY, FLICKERING, FLOOR
from envzoo.surprise.room_generator import NO_ROOM
from envzoo.surprise.view import AHEAD_X, AHEAD_Y

_32 = np.uint64(32)
_LOW = np.uint64(2**32 - 1)
_BASE = np.uint64(COLOURS)


@njit(cache=True)
def move_balls(state, streams, i):
    """Move every ball of a room whose switch was not stepped on to a random neighbouring cell, if that is free."""
    grid, balls = state.grid, state.balls
    for ball in range(balls.shape[1]):
        x, y, number = balls[i, ball, 0], balls[i, ball, 1], balls[i, ball, 2]
        if number == NO_ROOM:
            return
        if state.stopped[i, number]:
            continue
        heading = integer(streams, i, 4)
        next_x, next_y = x + AHEAD_X[heading], y + AHEAD_Y[heading]
        if not (0 <= next_x < grid.shape[1] and 0 <= next_y < grid.shape[2]):
            continue
        if grid[i, next_x, next_y] // COLOURS != EMPTY or (next_x == state.pose[i, 0] and next_y == state.pose[i, 1]):
            continue
        grid[i, next_x, next_y] = grid[i, x, y]
        grid[i, x, y] = EMPTY_CELL
        balls[i, ball, 0], balls[i, ball, 1] = next_x, next_y


@njit(cache=True)
def recolour(state, cells, streams, i):
    """Give every tile of the flickering rooms whose box is closed a new colour; `cells` are the grids, flat."""
    columns, rows = state.grid.shape[1], state.grid.shape[2]
    left, fraction = 0, np.uint64(0)
    for number in range(state.kind.shape[1]):
        if state.kind[i, number] != FLICKERING or state.stopped[i, number]:
            continue
        top, bottom = state.rooms[i, number, 1] + 1, state.rooms[i, number, 3]
        for x in range(state.rooms[i, number, 0] + 1, state.rooms[i, number, 2]):
            first = (i * columns + x) * rows
            # Unsigned, so that Numba need not check for negative indices.
            for cell in range(np.uint64(first + top), np.uint64(first + bottom)):
                if cells[cell] // COLOURS == FLOOR:
                    if left == 0:  # six base-6 digits of one 32-bit random fraction, uniform up to 2e-5
                        left, fraction = 6, bits(streams, i) >> _32
                    product = fraction * _BASE
                    cells[cell] = FIRST_TILE + np.int64(product >> _32)
                    fraction = product & _LOW
                    left -= 1


@njit(cache=True)
def change_channel(state, streams, i):
    """Give the ball in the first room a new colour."""
    x0, y0, x1, y1 = state.rooms[i, 0]
    for x in range(x0 + 1, x1):
        for y in range(y0 + 1, y1):
            if state.grid[i, x, y] // COLOURS == BALL:
                state.grid[i, x, y] = BALL * COLOURS + integer(streams, i, COLOURS)
