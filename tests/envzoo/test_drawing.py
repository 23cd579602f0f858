"""Drawing of shapes."""

import numpy as np
import pytest

from envzoo.kernel.drawing import INK, PAPER, Canvas


@pytest.mark.parametrize("width", [0.0, 1e-9, 0.1, -1.0])
def test_rectangles_too_thin_to_be_seen_are_left_out(width):
    """A bar of length almost zero, such as that of an arm that pays almost nothing."""
    canvas = Canvas(20, 20)
    canvas.rectangle(5, 5, 5 + width, 10, INK)
    canvas.rectangle(5, 5, 10, 5 + width, INK)
    assert (canvas.image() == PAPER).all()


def test_a_rectangle_fills_its_pixels():
    canvas = Canvas(20, 20)
    canvas.rectangle(5, 6, 10, 8, INK)
    image = canvas.image()
    assert (image[6:8, 5:10] == INK).all()
    assert np.argwhere((image != PAPER).any(axis=-1)).min(axis=0).tolist() == [6, 5]
