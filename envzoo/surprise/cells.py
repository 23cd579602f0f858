"""Cells of a grid in one byte each, so that a view of the grid takes one load per cell and the grids stay in the cache.

A cell is `content * COLOURS + colour`. The contents are Minigrid's types and, beyond them, closed and locked doors; the
type door alone is an open one. Every number up to `LAST` is a cell, and 0 is one that is not seen.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.surprise.codes import CLOSED, COLOURS, DOOR, EMPTY, FLOOR, GREY, LOCKED, OPEN, SWITCH, WALL

# Contents in addition to the types of `codes`.
CLOSED_DOOR, LOCKED_DOOR = SWITCH + CLOSED, SWITCH + LOCKED
LAST = LOCKED_DOOR * COLOURS + COLOURS - 1
# Cells of one colour, and the tiles of the floor, which differ in their colours.
EMPTY_CELL, WALL_CELL = EMPTY * COLOURS, WALL * COLOURS + GREY
FIRST_TILE, FIRST_CLOSED = FLOOR * COLOURS, CLOSED_DOOR * COLOURS

_TYPES = np.array([*range(SWITCH + 1), DOOR, DOOR], np.uint8)
_STATES = np.array([OPEN] * (SWITCH + 1) + [CLOSED, LOCKED], np.uint8)
# Unsigned, so that Numba need not check for negative indices, and bytes stay bytes.
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)
_COLOURS, _DOOR, _SWITCH, _NONE = np.uint8(COLOURS), np.uint8(DOOR), np.uint8(SWITCH), np.uint8(0)


def pack(image: np.ndarray) -> np.ndarray:
    """Convert Minigrid's codes (..., 3), of which only doors have a state, to cells (...), uint8."""
    kind, colour, state = np.moveaxis(np.asarray(image, np.uint8), -1, 0)
    content = np.where((kind == DOOR) & (state != OPEN), SWITCH + state, kind)
    return (content * COLOURS + colour).astype(np.uint8)


def unpack(cells: np.ndarray) -> np.ndarray:
    """Convert cells (...) to Minigrid's codes (..., 3), uint8: type, colour and state."""
    content, colour = np.divmod(cells, _COLOURS)
    return np.stack([_TYPES[content], colour, _STATES[content]], axis=-1)


@njit(cache=True)
def unpack_to(cells, count, numbers, begin):
    """Write the codes of the first `count` cells (...,) to the flat array `numbers`, uint8, from index `begin` on."""
    first = np.uint64(begin)
    for k in range(np.uint64(count)):
        content = np.uint8(cells[k] // _COLOURS)
        state = np.uint8(max(content, _SWITCH) - _SWITCH)
        number = first + _THREE * k
        numbers[number] = content if state == _NONE else _DOOR
        numbers[number + _ONE] = np.uint8(cells[k] - np.uint8(content * _COLOURS))
        numbers[number + _TWO] = state
