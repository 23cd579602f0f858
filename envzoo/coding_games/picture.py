"""Images of coding games: the scene on the left, the receiver's belief as a bar chart on the right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from envzoo.coding_games.coupling_kernels import entropy
from envzoo.kernel import drawing as art

HEIGHT = 320  # side of the square scene
WIDTH = 680
MARGIN = 14
LEFT, RIGHT, TOP, BOTTOM = HEIGHT + 24, WIDTH - MARGIN, 62, HEIGHT - 30  # borders of the chart
MOST_BARS = 320


def canvas() -> art.Canvas:
    """Make an empty image."""
    return art.Canvas(WIDTH, HEIGHT)


def draw_number(surface: art.Canvas, state: int, time: int, horizon: int) -> None:
    """Draw the default scene of a process without its own drawing: the number of the state."""
    surface.rectangle(MARGIN, MARGIN, HEIGHT - MARGIN, HEIGHT - MARGIN, art.GRID)
    surface.text(HEIGHT / 2, HEIGHT / 2 - 12, f"state {state}", art.INK, 28)
    surface.text(HEIGHT / 2, HEIGHT / 2 + 22, f"move {time} of at most {horizon}", art.MUTED, 14)


def draw_belief(surface: art.Canvas, state: Any, sizes: Sequence[int]) -> None:
    """Draw the belief of one episode as bars: that of the message orange, all others blue, and a mark at the guess."""
    belief, offsets = np.asarray(state.belief), np.concatenate([[0], np.cumsum(sizes)])
    true = [int(first + m) for first, m in zip(offsets, state.message, strict=False)]
    guessed = [int(first + m) for first, m in zip(offsets, state.guess, strict=False)]
    right = true == guessed
    bits = sum(entropy(np.ascontiguousarray(belief[a:b])) for a, b in pairwise(offsets))
    surface.text(LEFT, 20, f"the receiver's belief: {bits:.1f} bits to go", art.INK, 16, "lm")
    surface.text(LEFT, 42, "message", art.MUTED, 13, "lm")
    surface.text(LEFT + 56, 42, _named(state.message), art.ORANGE, 13, "lm")
    surface.text(RIGHT, 42, f"guess {_named(state.guess)}", art.GREEN if right else art.RED, 13, "rm")
    # If there are more messages than pixels, each bar shows the most likely of several neighbours.
    group = -(-belief.size // MOST_BARS)
    bars = -(-belief.size // group)
    heights = np.pad(belief, (0, bars * group - belief.size)).reshape(bars, group).max(axis=1)
    # Scale to the tallest bar as long as no message stands out, so that small differences are visible.
    scale = (BOTTOM - TOP) / max(0.1, float(heights.max()))
    width = (RIGHT - LEFT) / bars
    gap = 1.0 if width >= 4 else 0.0
    marked = {m // group for m in true}
    for bar, height in enumerate(heights.tolist()):
        x = LEFT + bar * width
        colour = art.ORANGE if bar in marked else art.BLUE
        top = BOTTOM - max(height * scale, 2.0 if bar in marked else 0.0)
        surface.rectangle(x, top, x + max(width - gap, 0.7), BOTTOM, colour)
    surface.rectangle(LEFT, BOTTOM, RIGHT, BOTTOM + 1, art.FRAME)
    for m in guessed:
        surface.disc(LEFT + (m // group + 0.5) * width, BOTTOM + 8, 3, art.GREEN if right else art.RED)
    surface.text(LEFT, BOTTOM + 20, "0", art.MUTED, 11, "lm")
    surface.text(RIGHT, BOTTOM + 20, str(belief.size - 1), art.MUTED, 11, "rm")
    surface.text(RIGHT, TOP - 6, f"{max(0.1, float(heights.max())):.2f}", art.MUTED, 11, "rm")


def text(state: Any, sizes: Sequence[int], horizon: int, most: int = 5) -> str:
    """Describe the move, message and guess, and the most likely values of each block with text bars."""
    belief, offsets = np.asarray(state.belief), np.concatenate([[0], np.cumsum(sizes)])
    bits = sum(entropy(np.ascontiguousarray(belief[a:b])) for a, b in pairwise(offsets))
    lines = [
        f"move {int(state.time)} of at most {horizon}, message {_named(state.message)}, guess {_named(state.guess)}, "
        f"{bits:.2f} bits to go"
    ]
    for block, (first, last) in enumerate(pairwise(offsets)):
        part = belief[first:last]
        for m in np.argsort(-part, kind="stable")[:most].tolist():
            name = str(m) if len(sizes) == 1 else f"{block}:{m}"
            lines.append(f"{name:>6} {part[m]:.3f} " + "#" * round(40 * float(part[m])))
    return "\n".join(lines)


def _named(values: Any) -> str:
    return " ".join(str(int(value)) for value in values)
