"""Drawing utilities: a palette, anti-aliased shapes, and tiled images of many episodes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# Palette of all environments, legible in print and for colour-blind readers (after Okabe and Ito, 2008).
PAPER = (250, 250, 247)
GRID = (226, 226, 220)
FRAME = (188, 192, 196)
INK = (52, 58, 64)
MUTED = (150, 156, 162)
BLUE = (0, 114, 178)
MID_BLUE = (134, 187, 222)
PALE_BLUE = (203, 226, 240)
ORANGE = (230, 126, 0)
GREEN = (0, 148, 110)
RED = (203, 67, 53)

# Shapes are drawn this many times larger and then downsampled, which smooths their edges.
SMOOTHING = 3


class Canvas:
    """An anti-aliased drawing surface in pixels of the finished image; a thin layer over Pillow.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        background: RGB colour.
    """

    def __init__(self, width: int, height: int, background: tuple[int, int, int] = PAPER) -> None:
        # Import Pillow only here, so that environments that are never rendered do not load it.
        from PIL import Image, ImageDraw

        self._size = (width, height)
        self._image = Image.new("RGB", (width * SMOOTHING, height * SMOOTHING), background)
        self._draw = ImageDraw.Draw(self._image)

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int]) -> None:
        """Fill the rectangle with corners (x0, y0) and (x1, y1); one thinner than a smoothed pixel is not seen."""
        k = SMOOTHING
        left, top, right, bottom = x0 * k, y0 * k, x1 * k - 1, y1 * k - 1
        if right >= left and bottom >= top:
            self._draw.rectangle([left, top, right, bottom], fill=colour)

    def disc(
        self, x: float, y: float, radius: float, colour: tuple[int, int, int], ring: tuple[int, int, int] | None = None
    ) -> None:
        """Fill a disc; `ring` adds an outline."""
        k = SMOOTHING
        box = [(x - radius) * k, (y - radius) * k, (x + radius) * k, (y + radius) * k]
        self._draw.ellipse(box, fill=colour, outline=ring, width=2 * k if ring else 0)

    def circle(self, x: float, y: float, radius: float, colour: tuple[int, int, int], width: float = 1) -> None:
        """Draw the outline of a circle."""
        k = SMOOTHING
        box = [(x - radius) * k, (y - radius) * k, (x + radius) * k, (y + radius) * k]
        self._draw.ellipse(box, outline=colour, width=max(1, round(width * k)))

    def polygon(self, points: Sequence[tuple[float, float]], colour: tuple[int, int, int]) -> None:
        """Fill the polygon with these corners."""
        self._draw.polygon([(x * SMOOTHING, y * SMOOTHING) for x, y in points], fill=colour)

    def line(self, points: Sequence[tuple[float, float]], colour: tuple[int, int, int], width: float = 1) -> None:
        """Draw a line through the points, with round corners and ends."""
        k = SMOOTHING
        if len(points) > 1:
            self._draw.line([(x * k, y * k) for x, y in points], fill=colour, width=round(width * k), joint="curve")
        for x, y in (points[0], points[-1]) if points else ():
            self.disc(x, y, width / 2, colour)

    def text(
        self, x: float, y: float, text: str, colour: tuple[int, int, int] = INK, size: int = 12, anchor: str = "mm"
    ) -> None:
        """Write `text` at (x, y); `anchor` as in Pillow ("mm": centred, "lm": left)."""
        from PIL import ImageFont

        font = ImageFont.load_default(size * SMOOTHING)
        self._draw.text((x * SMOOTHING, y * SMOOTHING), text, fill=colour, font=font, anchor=anchor)

    def image(self) -> np.ndarray:
        """Return the finished image, uint8 (height, width, 3)."""
        from PIL import Image

        return np.array(self._image.resize(self._size, Image.Resampling.BOX))


def captioned(
    image: np.ndarray, text: str, colour: tuple[int, int, int] = INK, *, below: bool = False, height: int = 24
) -> np.ndarray:
    """Add a strip of text above or below an image, for example to show whose turn it is in a game.

    Args:
        image: uint8 (height, width, 3).
        text: One short line, left-aligned in white.
        colour: RGB colour of the strip.
        below: Put the strip below the image instead of above.
        height: Height of the strip in pixels.

    Returns:
        uint8 (image height + height, width, 3).
    """
    strip = Canvas(image.shape[1], height, colour)
    strip.text(8, height / 2, text, PAPER, height // 2, anchor="lm")
    return np.concatenate([image, strip.image()] if below else [strip.image(), image])


def tile(images: Sequence[np.ndarray], gap: int = 6) -> np.ndarray:
    """Arrange images of equal size in a near-square grid with `gap` pixels between them.

    Args:
        images: At least one image, uint8 (height, width, 3).
        gap: Pixels between tiles and around them.

    Returns:
        uint8 (rows * (height + gap) + gap, columns * (width + gap) + gap, 3).
    """
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    height, width, _ = images[0].shape
    result = np.empty((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), np.uint8)
    result[:] = FRAME
    for k, image in enumerate(images):
        y, x = gap + k // columns * (height + gap), gap + k % columns * (width + gap)
        result[y : y + height, x : x + width] = image
    return result
