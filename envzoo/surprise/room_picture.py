"""Rendering of SurpriseRooms, as images in the style of Minigrid and as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.kernel import drawing as art
from envzoo.surprise.cells import unpack
from envzoo.surprise.codes import (
    BALL,
    BOX,
    DARK,
    DOOR,
    EMPTY,
    FLOOR,
    GOAL,
    OPEN,
    SWITCH,
    WALL,
)
from envzoo.surprise.view import AHEAD_X, AHEAD_Y, look

# Minigrid's colours, by code.
RGB = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (112, 39, 195), (255, 255, 0), (100, 100, 100))
BLACK, LINE, WHITE, AGENT = (0, 0, 0), (60, 60, 60), (255, 255, 255), (255, 0, 0)
NOISY_FRAME, STOPPED_FRAME = (255, 140, 0), (0, 220, 130)
HIGHLIGHT = 0.3
SIGNS = {EMPTY: " ", WALL: "#", FLOOR: ".", BALL: "o", BOX: "B", GOAL: "G", SWITCH: "S"}
ARROWS = ">v<^"


def draw(state: Any, view: int) -> np.ndarray:
    """Draw one episode as an image, uint8 (height, width, 3), with a line of statistics below.

    Active noise is framed in orange, stopped noise in green; dark rooms have no frame.
    """
    grid, cells = unpack(state.grid), len(state.grid)
    size = max(12, min(24, 420 // cells)) // 2 * 2
    canvas = art.Canvas(cells * size, cells * size, BLACK)
    for x in range(cells):
        for y in range(cells):
            canvas.rectangle(x * size, y * size, (x + 1) * size, y * size + 1, LINE)
            canvas.rectangle(x * size, y * size, x * size + 1, (y + 1) * size, LINE)
            _draw_cell(canvas, *grid[x, y].tolist(), x * size, y * size, size)
    for room, kind, stopped in zip(state.rooms.tolist(), state.kind.tolist(), state.stopped.tolist(), strict=True):
        if kind != DARK:
            _draw_frame(canvas, room, STOPPED_FRAME if stopped else NOISY_FRAME, size)
    _draw_agent(canvas, *state.pose.tolist(), size)
    image = canvas.image()
    for x, y in _seen(state, view):
        part = image[y * size : (y + 1) * size, x * size : (x + 1) * size]
        part[:] = part + HIGHLIGHT * (255.0 - part)
    return art.captioned(image, _numbers(state), below=True)


def _draw_cell(canvas: art.Canvas, kind: int, colour: int, state: int, x: int, y: int, size: int) -> None:
    rgb = RGB[colour]

    def block(margin: float, fill: tuple[int, int, int]) -> None:
        canvas.rectangle(x + margin * size, y + margin * size, x + (1 - margin) * size, y + (1 - margin) * size, fill)

    if kind in (WALL, GOAL):
        block(0.0, rgb)
    elif kind == FLOOR:
        canvas.rectangle(x + 1, y + 1, x + size, y + size, tuple(part // 2 for part in rgb))
    elif kind == BALL:
        canvas.disc(x + size / 2, y + size / 2, 0.31 * size, rgb)
    elif kind == BOX:
        block(0.12, rgb)
        block(0.22, BLACK)
        canvas.rectangle(x + 0.16 * size, y + 0.44 * size, x + 0.84 * size, y + 0.56 * size, rgb)
    elif kind == SWITCH:
        block(0.1, rgb)
        canvas.disc(x + size / 2, y + size / 2, 0.22 * size, WHITE)
    elif kind == DOOR and state == OPEN:
        canvas.rectangle(x + 0.85 * size, y, x + size, y + size, rgb)
    elif kind == DOOR:
        block(0.0, rgb)
        block(0.08, BLACK)
        block(0.16, rgb)
        block(0.22, BLACK)
        canvas.disc(x + 0.72 * size, y + size / 2, 0.08 * size, rgb)


def _draw_frame(canvas: art.Canvas, room: list[int], colour: tuple[int, int, int], size: int) -> None:
    """Draw a frame along the inner side of the walls, on top of them so that it hides no cell."""
    x0, y0, x1, y1 = (room[0] + 1) * size, (room[1] + 1) * size, room[2] * size, room[3] * size
    for box in ((x0 - 3, y0 - 3, x1 + 3, y0), (x0 - 3, y1, x1 + 3, y1 + 3), (x0 - 3, y0, x0, y1), (x1, y0, x1 + 3, y1)):
        canvas.rectangle(*box, colour)


def _draw_agent(canvas: art.Canvas, x: int, y: int, heading: int, size: int) -> None:
    ahead, right = (AHEAD_X[heading], AHEAD_Y[heading]), (-AHEAD_Y[heading], AHEAD_X[heading])
    corners = ((-0.38, -0.31), (0.37, 0.0), (-0.38, 0.31))
    canvas.polygon(
        [
            ((x + 0.5 + a * ahead[0] + r * right[0]) * size, (y + 0.5 + a * ahead[1] + r * right[1]) * size)
            for a, r in corners
        ],
        AGENT,
    )


def _seen(state: Any, view: int) -> list[tuple[int, int]]:
    """List the cells of the grid that the agent sees, including its own."""
    image = np.empty((view, view, 3), np.uint8)
    x, y, heading = state.pose.tolist()
    look(state.grid, x, y, heading, image)
    ahead, right = (AHEAD_X[heading], AHEAD_Y[heading]), (-AHEAD_Y[heading], AHEAD_X[heading])
    found = []
    for i, j in np.argwhere(image[..., 0] > 0).tolist():
        forward, sideways = view - 1 - j, i - view // 2
        cell = (
            x + int(ahead[0] * forward + right[0] * sideways),
            y + int(ahead[1] * forward + right[1] * sideways),
        )
        if all(0 <= part < len(state.grid) for part in cell):
            found.append(cell)
    return found


def _numbers(state: Any) -> str:
    room = int(state.room)
    here = "dark" if state.kind[room] == DARK else "stopped" if state.stopped[room] else "noisy"
    return (
        f"room {room} ({here}), visited {int(state.visited.sum())} of {len(state.visited)}, "
        f"stopped {int(state.stopped.sum())} of {int((state.kind != DARK).sum())}"
    )


def describe(state: Any) -> str:
    """Show an episode as text: # wall, D and / doors, . tile, B box, o ball, S switch, G goal, agent as an arrow."""
    grid, cells = unpack(state.grid), len(state.grid)
    lines = [["" for _ in range(cells)] for _ in range(cells)]
    for x in range(cells):
        for y in range(cells):
            kind, _, door = grid[x, y].tolist()
            lines[y][x] = ("/" if door == OPEN else "D") if kind == DOOR else SIGNS.get(kind, "?")
    x, y, heading = state.pose.tolist()
    lines[y][x] = ARROWS[heading]
    return "\n".join([*("".join(line).rstrip() for line in lines), _numbers(state)])
