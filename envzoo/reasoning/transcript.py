"""Transcripts of text episodes: coloured text for a terminal, and an image."""

from __future__ import annotations

import numpy as np

from envzoo.kernel import drawing as art

PROMPT, MODEL, REPLY = 0, 1, 2  # writer of a character
COLUMNS, CELL_WIDTH, CELL_HEIGHT, MARGIN, SIZE = 16, 28, 52, 12, 30  # of a picture; all but COLUMNS in pixels
# ANSI's basic colours, which every terminal supports.
_DIM, _BLUE, _GREEN, _RED, _YELLOW, _PLAIN = "\033[2m", "\033[34m", "\033[32m", "\033[31m", "\033[33m", "\033[0m"


def coloured(signs: str, writers: np.ndarray, outcome: int) -> str:
    """Colour a transcript with ANSI codes: prompt dim, replies yellow, answers blue, then green (right) or red (wrong).

    Args:
        signs: One character per token.
        writers: int (len(signs),): 0 prompt, 1 the player, 2 a reply of the task.
        outcome: -1 while the episode runs, then 0 or 1.
    """
    colours = {PROMPT: _DIM, MODEL: (_RED, _GREEN, _BLUE)[outcome], REPLY: _YELLOW}
    result, before = "", None
    for sign, writer in zip(signs, writers.tolist(), strict=True):
        if writer != before:
            result += ("" if before is None else _PLAIN) + colours[writer]
            before = writer
        result += sign
    return f"{result}{_PLAIN}  {('wrong', 'right', 'running')[outcome]}"


def picture(signs: str, writers: np.ndarray, outcome: int, places: int, columns: int = COLUMNS) -> np.ndarray:
    """Draw a transcript as an image, uint8 (height, width, 3), one cell per token.

    The size of the image depends only on `places` and `columns`, so that the frames of an episode fit each other.

    Args:
        signs: One character per token.
        writers: As in `coloured`.
        outcome: As in `coloured`.
        places: Largest number of tokens of a transcript.
        columns: Most tokens of a line.
    """
    columns = min(places, columns)
    rows = -(-places // columns)
    canvas = art.Canvas(columns * CELL_WIDTH + 2 * MARGIN, rows * CELL_HEIGHT + 2 * MARGIN)
    answer = (art.RED, art.GREEN, art.BLUE)[outcome]
    colours = {PROMPT: art.MUTED, MODEL: answer, REPLY: art.ORANGE}
    for k, (sign, writer) in enumerate(zip(signs, writers.tolist(), strict=True)):
        x, y = MARGIN + k % columns * CELL_WIDTH, MARGIN + k // columns * CELL_HEIGHT
        if writer != PROMPT:
            canvas.rectangle(x + 2, y + CELL_HEIGHT - 8, x + CELL_WIDTH - 2, y + CELL_HEIGHT - 4, colours[writer])
        canvas.text(x + CELL_WIDTH / 2, y + CELL_HEIGHT / 2 - 4, sign, colours[writer], SIZE)
    return canvas.image()
