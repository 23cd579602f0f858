"""Kernels that lay out a chain of rooms as Minigrid's MultiRoom does, and place noise in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.kernel.stream import integer, uniform
from envzoo.surprise.cells import CLOSED_DOOR, EMPTY_CELL, WALL_CELL
from envzoo.surprise.codes import (
    BALL,
    BALLS,
    BOX,
    COLOURS,
    DARK,
    EMPTY,
    FLICKERING,
    FLOOR,
    GOAL,
    GREEN,
    SWITCH,
    TELEVISION,
)

# Attempts to place the next room before the whole chain is started again.
TRIES = 8
NO_ROOM = -1


class Layout(NamedTuple):
    """Parameters of the random chain of rooms, as `parameters.layout`."""

    size: int  # cells along each side of the grid
    rooms: int
    least_side: int  # smallest side of a room, including its walls
    most_side: int
    p_dark: float
    p_floor: float
    density: float
    anywhere: bool  # whether boxes and televisions may stand in front of doors
    television: bool
    goal: bool


@njit(cache=True)
def chain(layout, rooms, doors, streams, i):
    """Make one attempt to lay out a chain of rooms; returns whether it succeeded.

    The first room lies anywhere; the entry door of every later one is in a wall of the previous room, but not in the
    wall of that room's own entry, and no two rooms overlap.

    Args:
        layout: The `Layout`.
        rooms: int64 (rooms, 4), overwritten: first column, first row, last column, last row, including walls.
        doors: int64 (rooms, 2), overwritten: the entry door of each room except the first.
        streams: Random streams.
        i: Episode.
    """
    entry = 2  # walls: 0 right, 1 bottom, 2 left, 3 top
    doors[0] = 0
    for number in range(layout.rooms):
        placed = False
        for _ in range(1 if number == 0 else TRIES):
            if number == 0:
                door_x, door_y, next_entry = (
                    integer(streams, i, layout.size - 2),
                    integer(streams, i, layout.size - 2),
                    2,
                )
            else:
                exit_wall = integer(streams, i, 3)
                exit_wall += exit_wall >= entry
                next_entry = (exit_wall + 2) % 4
                x0, y0, x1, y1 = rooms[number - 1]
                if exit_wall % 2 == 0:
                    door_x, door_y = (x1 if exit_wall == 0 else x0), y0 + 1 + integer(streams, i, y1 - y0 - 1)
                else:
                    door_x, door_y = x0 + 1 + integer(streams, i, x1 - x0 - 1), (y1 if exit_wall == 1 else y0)
            width = layout.least_side + integer(streams, i, layout.most_side - layout.least_side + 1)
            height = layout.least_side + integer(streams, i, layout.most_side - layout.least_side + 1)
            if number == 0:
                x, y = door_x, door_y
            elif next_entry % 2 == 0:
                x = door_x - width + 1 if next_entry == 0 else door_x
                y = door_y - height + 2 + integer(streams, i, height - 2)
            else:
                x = door_x - width + 2 + integer(streams, i, width - 2)
                y = door_y - height + 1 if next_entry == 1 else door_y
            if _fits(layout.size, rooms, number, x, y, width, height):
                rooms[number, 0], rooms[number, 1] = x, y
                rooms[number, 2], rooms[number, 3] = x + width - 1, y + height - 1
                if number > 0:
                    doors[number, 0], doors[number, 1] = door_x, door_y
                entry = next_entry
                placed = True
                break
        if not placed:
            return False
    return True


@njit(cache=True)
def _fits(size, rooms, number, x, y, width, height):
    """Return whether a room is inside the grid and apart from all earlier rooms except the last, whose wall it shares.

    As in Minigrid, the last row of the grid stays free, as does a gap on two sides of a room.
    """
    if x < 0 or y < 0 or x + width > size or y + height >= size:
        return False
    for other in range(number - 1):
        x0, y0, x1, y1 = rooms[other]
        if not (x + width < x0 or x1 < x or y + height < y0 or y1 < y):
            return False
    return True


@njit(cache=True)
def chain_found(layout, attempts, streams):
    """Return whether one of `attempts` attempts lays out a complete chain."""
    rooms, doors = np.empty((layout.rooms, 4), np.int64), np.empty((layout.rooms, 2), np.int64)
    for _ in range(attempts):  # noqa: SIM110  (Numba cannot compile `any` of a generator)
        if chain(layout, rooms, doors, streams, 0):
            return True
    return False


@njit(cache=True)
def build(layout, state, streams, i):
    """Draw the grid of episode i: rooms, doors, noise, goal and the agent's start."""
    rooms, grid = state.rooms[i], state.grid[i]
    doors = np.empty((layout.rooms, 2), np.int64)
    while not chain(layout, rooms, doors, streams, i):
        pass
    grid.reshape(-1)[:] = EMPTY_CELL
    for number in range(layout.rooms):
        x0, y0, x1, y1 = rooms[number]
        for x in range(x0, x1 + 1):
            grid[x, y0] = WALL_CELL
            grid[x, y1] = WALL_CELL
        for y in range(y0, y1 + 1):
            grid[x0, y] = WALL_CELL
            grid[x1, y] = WALL_CELL
    colour = COLOURS
    for number in range(1, layout.rooms):
        if colour == COLOURS:
            colour = integer(streams, i, COLOURS)
        else:  # a different colour from the previous door
            other = integer(streams, i, COLOURS - 1)
            colour = other + (other >= colour)
        grid[doors[number, 0], doors[number, 1]] = CLOSED_DOOR * COLOURS + colour
    balls = 0
    state.balls[i] = 0
    state.balls[i, :, 2] = NO_ROOM
    for number in range(layout.rooms):
        state.kind[i, number] = _draw_kind(layout, number, streams, i)
        balls = _furnish(layout, state, number, balls, streams, i)
    if layout.goal:
        x, y = _free_cell(grid, rooms[layout.rooms - 1], True, streams, i)
        grid[x, y] = GOAL * COLOURS + GREEN
    state.pose[i, 0], state.pose[i, 1] = _free_cell(grid, rooms[0], True, streams, i)
    state.pose[i, 2] = integer(streams, i, 4)


@njit(cache=True)
def _draw_kind(layout, number, streams, i):
    if layout.television and number == 0:
        return TELEVISION
    draw = uniform(streams, i)
    if draw < layout.p_dark:
        return DARK
    return FLICKERING if draw < layout.p_dark + layout.p_floor else BALLS


@njit(cache=True)
def _furnish(layout, state, number, balls, streams, i):
    """Place the noise of a room and the object that stops it; returns the number of balls so far."""
    grid, room, kind = state.grid[i], state.rooms[i, number], state.kind[i, number]
    if kind == DARK:
        return balls
    x0, y0, x1, y1 = room
    cells = (x1 - x0 - 1) * (y1 - y0 - 1)
    x, y = _free_cell(grid, room, layout.anywhere or kind == BALLS, streams, i)
    stopper = BOX if kind == FLICKERING else SWITCH if kind == BALLS else BALL
    grid[x, y] = stopper * COLOURS + integer(streams, i, COLOURS)
    if kind == TELEVISION:
        return balls
    # Uniformly random subset of the free cells, in one pass over them.
    needed = min(int(layout.density * cells), cells - (1 if kind == FLICKERING else 2))
    left = cells - 1
    for x in range(x0 + 1, x1):
        for y in range(y0 + 1, y1):
            if grid[x, y] // COLOURS != EMPTY:
                continue
            if integer(streams, i, left) < needed:
                needed -= 1
                grid[x, y] = (FLOOR if kind == FLICKERING else BALL) * COLOURS + integer(streams, i, COLOURS)
                if kind == BALLS:
                    state.balls[i, balls, 0], state.balls[i, balls, 1] = x, y
                    state.balls[i, balls, 2] = number
                    balls += 1
            left -= 1
    return balls


@njit(cache=True)
def _free_cell(grid, room, anywhere, streams, i):
    """Draw a uniformly random cell of a room that is empty or floor; unless `anywhere`, none in front of a door.

    Such a cell always exists: a room has at least four cells and two doors.
    """
    x0, y0, x1, y1 = room
    count = 0
    for x in range(x0 + 1, x1):
        for y in range(y0 + 1, y1):
            count += _is_free(grid, x, y, anywhere)
    chosen = integer(streams, i, count)
    for x in range(x0 + 1, x1):
        for y in range(y0 + 1, y1):
            if _is_free(grid, x, y, anywhere):
                if chosen == 0:
                    return x, y
                chosen -= 1
    return x0 + 1, y0 + 1


@njit(cache=True)
def _is_free(grid, x, y, anywhere):
    content = grid[x, y] // COLOURS
    if content != EMPTY and content != FLOOR:
        return False
    return anywhere or not (
        _is_door(grid, x - 1, y) or _is_door(grid, x + 1, y) or _is_door(grid, x, y - 1) or _is_door(grid, x, y + 1)
    )


@njit(cache=True)
def _is_door(grid, x, y):
    """Return whether a cell is a door; all doors of a new grid are closed."""
    return grid[x, y] // COLOURS == CLOSED_DOOR
