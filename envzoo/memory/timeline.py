"""Pictures of memory tasks: what was shown, which part of it is asked for now, and what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envzoo.kernel import drawing as art

SUIT_COLOURS = (art.INK, art.ORANGE, art.BLUE, art.RED)
SHOWN = 17  # columns that fit into the picture
LEFT, CELL, TOP = 12, 28, 44
ANSWERS = TOP + 54  # upper edge of the answers
LEGEND = "above: observations (ring: to be remembered); below: answers (green right, red wrong, grey not scored)"
WIDTH, HEIGHT = 2 * LEFT + SHOWN * CELL, ANSWERS + CELL + 24


class Column(NamedTuple):
    """One time step.

    Attributes:
        shown: Short text of the observation.
        colour: Colour of the observation.
        answer: Short text of the action, "" without one.
        right: Whether the action was right; None where it does not count.
    """

    shown: str
    colour: tuple[int, int, int]
    answer: str
    right: bool | None


def draw_timeline(columns: Sequence[Column], asked: int | None, question: str) -> np.ndarray:
    """Draw the most recent steps from left to right.

    The observation that answers the present question has a ring; one that has left the picture is shown at the left
    edge, apart. Below stand the answers: a green field for right, a red one for wrong.

    Args:
        columns: All steps so far, at least one; the last is the present.
        asked: Index of the column that has to be remembered now, or None.
        question: One line above.
    """
    canvas = art.Canvas(WIDTH, HEIGHT)
    canvas.text(LEFT, 16, question, art.INK, 14, anchor="lm")
    first = max(0, len(columns) - SHOWN)
    apart = asked is not None and asked < first
    first += apart
    places = {time: position + apart for position, time in enumerate(range(first, len(columns)))}
    if apart:
        places[asked] = 0
    for time, place in places.items():
        column, x = columns[time], LEFT + place * CELL
        now = time == len(columns) - 1
        centre, row = x + CELL / 2, TOP + CELL / 2
        canvas.rectangle(x + 2, TOP + 2, x + CELL - 2, TOP + CELL - 2, column.colour)
        canvas.text(centre, row, column.shown, art.PAPER, 14)
        if time == asked:
            canvas.circle(centre, row, CELL * 0.62, art.GREEN, 3)
        if column.answer:
            colour = art.FRAME if column.right is None else art.GREEN if column.right else art.RED
            canvas.rectangle(x + 2, ANSWERS + 2, x + CELL - 2, ANSWERS + CELL - 2, colour)
            ink = art.INK if column.right is None else art.PAPER
            canvas.text(centre, ANSWERS + CELL / 2, column.answer, ink, 14)
        elif now:
            canvas.text(centre, ANSWERS + CELL / 2, "?", art.INK, 16)
    if apart:
        canvas.text(LEFT, TOP + CELL + 12, "earlier", art.MUTED, 10, anchor="lm")
    canvas.text(LEFT, HEIGHT - 10, LEGEND, art.MUTED, 10, anchor="lm")
    return canvas.image()
