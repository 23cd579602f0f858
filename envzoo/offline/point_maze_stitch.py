"""PointMazeStitch: a maze in which no logged path leads from the start to the goal, but two of them joined do (42)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError, shorten
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import MOST, check_choice, check_number
from envzoo.kernel.stream import normal, uniform

EDGE = 6.0
STEP = 0.3
GOAL = (5.0, 5.0)
GOAL_RADIUS = 0.5
START = (1.0, 1.0)
STARTS = ("corner", "left", "anywhere")
SPREAD = 0.25  # the start is uniform within this distance of START in each coordinate
# The walls, (x low, x high, y low, y high): two blocks leave the shape of an H.
WALLS = np.array([[2.0, 4.0, 0.0, 2.0], [2.0, 4.0, 4.0, 6.0]])


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    noise: float
    start: int  # index in STARTS


class State(NamedTuple):
    """State of one episode."""

    position: Any  # float64 (2,)
    moves: Any


class Infos(NamedTuple):
    """Entries of `info`."""

    success: Any


class Options(NamedTuple):
    """Options of `reset`; NaN where no start is given."""

    start: Any  # float64 (num_envs, 2)


@njit(cache=True)
def inside_wall(x: float, y: float) -> bool:
    """Tell whether a point lies within a wall; points on its border do not."""
    inside = False
    for w in range(WALLS.shape[0]):
        inside |= WALLS[w, 0] < x < WALLS[w, 1] and WALLS[w, 2] < y < WALLS[w, 3]
    return inside


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            if not np.isnan(options.start[i, 0]):
                x, y = options.start[i, 0], options.start[i, 1]
            elif parameters.start == 2:
                x, y = EDGE * uniform(streams, i), EDGE * uniform(streams, i)
                while inside_wall(x, y):
                    x, y = EDGE * uniform(streams, i), EDGE * uniform(streams, i)
            else:
                x = START[0] + SPREAD * (2.0 * uniform(streams, i) - 1.0)
                y = START[1] + SPREAD * (2.0 * uniform(streams, i) - 1.0)
                if parameters.start == 1 and uniform(streams, i) < 0.5:
                    y = EDGE - y
            state.position[i, 0], state.position[i, 1] = x, y
            state.moves[i] = 0
            infos.success[i] = False


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            for axis in range(2):
                old = state.position[i, axis]
                moved = old + STEP * np.float64(actions[i, axis])
                if parameters.noise > 0.0:
                    moved += parameters.noise * normal(streams, i)
                state.position[i, axis] = min(max(moved, 0.0), EDGE)
                if inside_wall(state.position[i, 0], state.position[i, 1]):
                    state.position[i, axis] = old
            state.moves[i] += 1
            dx, dy = state.position[i, 0] - GOAL[0], state.position[i, 1] - GOAL[1]
            reached = math.sqrt(dx * dx + dy * dy) <= GOAL_RADIUS
            terminated[i] = reached
            infos.success[i] = reached
            rewards[i] = 0.0 if reached else -1.0


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel; see `envzoo.kernel.Kernels`."""
    for i in range(state.moves.size):
        observation[i, 0] = state.position[i, 0]
        observation[i, 1] = state.position[i, 1]


class PointMazeStitch(Definition):
    """A maze in the shape of an H: from the lower left foot to the upper right one.

    ## Description
    The dataset `envzoo/point-maze-stitch/mixed-v0` holds two kinds of paths that cross in the middle: from the lower
    left to the lower right foot, and from the upper left foot to the goal in the upper right one. No logged path leads
    from the start of an episode to the goal: an agent must join the first half of one with the second half of the
    other. Designed for methods that claim such "stitching" (O-DICE, Mao et al., arXiv 2402.00348).

    ## Action space
    `Box(-1, 1, (2,), float32)`: the displacement in x and y, in units of 0.3.

    ## Observation space
    `Box(0, 6, (2,), float32)`: the position (x, y).

    ## Dynamics
    First x and then y moves by 0.3 times the action, plus normal noise of standard deviation `noise`, within [0, 6]. A
    coordinate whose move would end within one of the two walls, 2 < x < 4 with y < 2 or y > 4, stays.

    ## Reward
    0 for the step that reaches the goal, and -1 for every other step.

    ## Info
    After every reset and step: `success`, whether the goal is reached.

    ## Start of an episode
    Uniform within 0.25 of (1, 1) in each coordinate; with `start="left"` there or around (1, 5), each with probability
    1/2; with `start="anywhere"` uniform outside the walls; or `reset(options={"start": (x, y)})`, which may also be an
    array (num_envs, 2).

    ## End of an episode
    Terminates within 0.5 of (5, 5). The registered id truncates after 60 steps.

    ## Arguments
    - `noise` (0.0): standard deviation of the noise of a move.
    - `start` ("corner"): "corner", "left" or "anywhere".

    ## Registered ids
    - `envzoo/PointMazeStitch-v0`
    """

    option_names = ("start",)
    render_fps = 10

    def __init__(self, noise: float = 0.0, start: str = "corner") -> None:
        check_choice("start", start, STARTS)
        self.parameters = Parameters(check_number("noise", noise, 0), STARTS.index(start))
        self.state = State(position=(np.float64, (2,)), moves=np.int64)
        self.limits = {"position": (0.0, EDGE), "moves": (0, MOST)}
        self.infos = Infos(success=np.bool_)
        self.observation_space = spaces.Box(0.0, EDGE, (2,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.kernels = Kernels(reset, step, observe)

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the start positions from the reset options."""
        if "start" not in given:
            return Options(start=np.full((num_envs, 2), np.nan))
        start = np.asarray(given["start"])
        usable = start.dtype.kind in "iuf" and start.shape in ((2,), (num_envs, 2))
        usable = usable and bool(((start >= 0) & (start <= EDGE)).all())
        if not usable or any(inside_wall(float(x), float(y)) for x, y in start.reshape(-1, 2)):
            raise EnvzooError(
                f"reset option start is {shorten(repr(given['start']))}; expected (x, y) from 0 to {EDGE:g} outside "
                f"the walls, or an array ({num_envs}, 2)"
            )
        return Options(start=np.broadcast_to(start, (num_envs, 2)).astype(np.float64))

    def draw(self, state: State) -> np.ndarray:
        """Draw the walls, the start, the goal and the point."""
        pixels = 240
        scale = pixels / EDGE
        canvas = art.Canvas(pixels, pixels)
        low_x, low_y = START[0] - SPREAD, START[1] - SPREAD
        side = 2 * SPREAD * scale
        canvas.rectangle(
            low_x * scale, pixels - low_y * scale - side, low_x * scale + side, pixels - low_y * scale, art.PALE_BLUE
        )
        for x0, x1, y0, y1 in WALLS.tolist():
            canvas.rectangle(x0 * scale, pixels - y1 * scale, x1 * scale, pixels - y0 * scale, art.MUTED)
        canvas.disc(GOAL[0] * scale, pixels - GOAL[1] * scale, GOAL_RADIUS * scale, art.GREEN)
        canvas.disc(float(state.position[0]) * scale, pixels - float(state.position[1]) * scale, 6, art.ORANGE)
        return canvas.image()

    def describe(self, state: State) -> str:
        """State the step number and the position."""
        return f"step {int(state.moves)}, position ({state.position[0]:.2f}, {state.position[1]:.2f})"


class PointMazeStitchEnv(KernelEnv):
    """Single environment of `PointMazeStitch`."""

    definition_class = PointMazeStitch


class PointMazeStitchVectorEnv(KernelVectorEnv):
    """Vector environment of `PointMazeStitch`."""

    definition_class = PointMazeStitch
