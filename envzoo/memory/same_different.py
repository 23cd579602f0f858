"""SameDifferent: are the two glyphs in an image equal? (paper 51)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer
from envzoo.sizes import check_bytes

GLYPH = 3  # pixels of a glyph's side
TOP, LEFT = 0b000000111, 0b001001001  # bit 3 * row + column
DIFFERENT, SAME = 0, 1
NO_ANSWER = -1
MOST = 512  # pixels of an image's side
SCALE = 8
WHITE = (255, 255, 255)


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    size: int
    distance: int


class State(NamedTuple):
    """State of one episode."""

    glyphs: Any  # int64 (2,), bit 3 * row + column
    places: Any  # int64 (2, 2), row and column of the upper left corner of each glyph
    answer: Any  # the action, -1 before it


@njit(cache=True)
def _draw_glyph(streams, i):
    """Draw a glyph with a pixel in the first row and one in the first column."""
    while True:
        glyph = integer(streams, i, 512)
        if glyph & TOP and glyph & LEFT:
            return glyph


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    room, least = parameters.size - GLYPH + 1, parameters.distance**2
    for i in range(where.size):
        if where[i]:
            state.answer[i] = NO_ANSWER
            first = _draw_glyph(streams, i)
            second = first
            if integer(streams, i, 2) == DIFFERENT:
                while second == first:
                    second = _draw_glyph(streams, i)
            state.glyphs[i, 0] = first
            state.glyphs[i, 1] = second
            places = state.places[i]
            while True:
                for k in range(2):
                    for axis in range(2):
                        places[k, axis] = integer(streams, i, room)
                apart = (places[0, 0] - places[1, 0]) ** 2 + (places[0, 1] - places[1, 1]) ** 2
                if apart >= least:
                    break


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            same = SAME if state.glyphs[i, 0] == state.glyphs[i, 1] else DIFFERENT
            state.answer[i] = actions[i]
            rewards[i] = 1.0 if actions[i] == same else -1.0
            terminated[i] = True


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the image."""
    observation[:] = 0
    for i in range(observation.shape[0]):
        for k in range(2):
            row, column = state.places[i, k, 0], state.places[i, k, 1]
            for bit in range(GLYPH * GLYPH):
                if state.glyphs[i, k] >> bit & 1:
                    observation[i, row + bit // GLYPH, column + bit % GLYPH, 0] = 255


class SameDifferent(Definition):
    """Decide whether the two glyphs in an image are equal.

    ## Description
    A black image holds two white glyphs of 3x3 pixels, far apart. In half of the images they are equal. No small window
    shows both, so that a network has to relate distant places of an image to each other. This is the task by which the
    selective scans of Pei et al. ("EfficientVMamba: Atrous Selective Scan for Light Weight Visual Mamba", AAAI 2025,
    arXiv 2403.09977) are compared with convolutions here, as a decision of one step.

    ## Action space
    `Discrete(2)`: 1 for equal glyphs, 0 for different ones.

    ## Observation space
    `Box(0, 255, (size, size, 1), uint8)`: the image.

    ## Reward
    1 for the right answer, -1 for the wrong one.

    ## Start of an episode
    A glyph is uniform over the 400 patterns with a pixel in the first row and one in the first column, since others
    would be the same picture at another place. With probability 1/2 the other glyph is equal to it, else uniform over
    the rest. Both places are drawn uniformly, again until their distance is large enough.

    ## End of an episode
    Terminates after the first step.

    ## Arguments
    - `size` (32): pixels of the image's side, from 8 to 512.
    - `distance` (16): least Euclidean distance of the glyphs' upper left corners, in pixels; from 6 to `size` - 3.

    ## Registered ids
    - `envzoo/SameDifferent-v0`
    """

    def __init__(self, size: int = 32, distance: int = 16) -> None:
        size, distance = check_whole("size", size, 8, MOST), check_whole("distance", distance, 6)
        if distance > size - GLYPH:
            raise EnvzooError(f"distance is {distance}; expected at most {size - GLYPH} in an image of {size} pixels")
        check_bytes(size * size, f"an image of {size} x {size} pixels")
        self.size = size
        self.parameters = Parameters(size, distance)
        self.state = State(glyphs=(np.int64, (2,)), places=(np.int64, (2, 2)), answer=np.int64)
        self.limits = {"glyphs": (1, 511), "places": (0, size - GLYPH), "answer": (NO_ANSWER, 1)}
        self.observation_space = spaces.Box(0, 255, (size, size, 1), np.uint8)
        self.action_space = spaces.Discrete(2)
        self.kernels = Kernels(reset, step, observe)

    def draw(self, state: State) -> np.ndarray:
        """Draw the image, with a frame around each glyph, and the answer below."""
        scale = max(2, SCALE * 32 // self.size)
        side = self.size * scale
        canvas = art.Canvas(side + 28, side + 62)
        canvas.rectangle(14, 14, 14 + side, 14 + side, art.INK)
        for glyph, (row, column) in zip(state.glyphs.tolist(), state.places.tolist(), strict=True):
            left, top, end = 14 + column * scale, 14 + row * scale, GLYPH * scale
            for bit in range(GLYPH * GLYPH):
                if glyph >> bit & 1:
                    x, y = left + bit % GLYPH * scale, top + bit // GLYPH * scale
                    canvas.rectangle(x, y, x + scale, y + scale, WHITE)
            corners = [(left - 3, top - 3), (left + end + 3, top - 3), (left + end + 3, top + end + 3)]
            corners += [(left - 3, top + end + 3), (left - 3, top - 3)]
            canvas.line(corners, art.ORANGE, 2)
        canvas.text(14, side + 30, "Are the two glyphs equal?", art.INK, 12, anchor="lm")
        canvas.text(14, side + 48, self._verdict(state), art.INK, 12, anchor="lm")
        return canvas.image()

    def describe(self, state: State) -> str:
        """Show the glyphs side by side, their places, and the answer."""
        rows = []
        for row in range(GLYPH):
            bits = [[glyph >> GLYPH * row + column & 1 for column in range(GLYPH)] for glyph in state.glyphs]
            rows.append("   ".join("".join("#" if bit else "." for bit in part) for part in bits))
        places = " ".join(f"({row}, {column})" for row, column in state.places.tolist())
        return "\n".join([*rows, f"at {places}", self._verdict(state)])

    @staticmethod
    def _verdict(state: State) -> str:
        same = int(state.glyphs[0] == state.glyphs[1])
        truth = "yes, they are" if same else "no, they differ"
        if state.answer == NO_ANSWER:
            return truth
        answer = "yes" if state.answer == 1 else "no"
        return f"{truth}; answered {answer}: {'right' if state.answer == same else 'wrong'}"


class SameDifferentEnv(KernelEnv):
    """Single environment of `SameDifferent`."""

    definition_class = SameDifferent


class SameDifferentVectorEnv(KernelVectorEnv):
    """Vector environment of `SameDifferent`."""

    definition_class = SameDifferent
