"""WindyPoint: a point mass with wind and noise that depend on the place (49)."""

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
from envzoo.kernel.arguments import MOST, check_number
from envzoo.kernel.stream import normal, uniform

EDGE, FASTEST = 2.0, 1.5
MOVE, DRAG, PUSH = 0.1, 0.9, 0.1
GOAL = (1.0, 1.0)
# Wind (x, y) and standard deviation of the noise of the velocity, by quadrant: x < 0 and y < 0 first, then x < 0, then
# y < 0, then neither.
WIND = np.array([[0.02, 0.0], [0.0, -0.03], [-0.03, 0.0], [0.0, 0.02]])
NOISE = np.array([0.01, 0.1, 0.01, 0.1])


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    wind: np.ndarray  # float64 (4, 2)
    noise: np.ndarray  # float64 (4,)


class State(NamedTuple):
    """State of one episode."""

    body: Any  # float64 (4,): x, y and the velocities
    moves: Any


class Options(NamedTuple):
    """Options of `reset`; NaN where no start is given."""

    start: Any  # float64 (num_envs, 4)


@njit(cache=True)
def quadrant(x: float, y: float) -> int:
    """Return the number of the quadrant of a place, 0 to 3."""
    return 2 * (x >= 0.0) + (y >= 0.0)


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            for axis in range(2):
                drawn = -1.0 + 0.2 * (2.0 * uniform(streams, i) - 1.0)
                state.body[i, axis] = drawn
                state.body[i, 2 + axis] = 0.0
            if not np.isnan(options.start[i, 0]):
                state.body[i] = options.start[i]
            state.moves[i] = 0


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            q = quadrant(state.body[i, 0], state.body[i, 1])
            square = 0.0
            for axis in range(2):
                place = state.body[i, axis] + MOVE * state.body[i, 2 + axis]
                speed = DRAG * state.body[i, 2 + axis] + PUSH * np.float64(actions[i, axis])
                speed += parameters.wind[q, axis] + parameters.noise[q] * normal(streams, i)
                state.body[i, axis] = min(max(place, -EDGE), EDGE)
                state.body[i, 2 + axis] = min(max(speed, -FASTEST), FASTEST)
                square += (state.body[i, axis] - GOAL[axis]) ** 2
            state.moves[i] += 1
            rewards[i] = -math.sqrt(square)


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel; see `envzoo.kernel.Kernels`."""
    for i in range(state.moves.size):
        for column in range(4):
            observation[i, column] = state.body[i, column]


class WindyPoint(Definition):
    """A point mass in wind, on data of half the arena: a test of models that know what they do not know.

    ## Description
    Wind and noise depend on the quadrant: two quadrants are calm, two are ten times noisier. A penalty for the noise
    that a model predicts avoids the noisy places, although they are well known; a penalty for the disagreement of
    several models avoids places without data. Designed for offline model-based reinforcement learning (after Lu et al.,
    "Revisiting Design Choices in Offline Model-Based Reinforcement Learning", arXiv 2110.04135).

    ## Action space
    `Box(-1, 1, (2,), float32)`: the force in x and y.

    ## Observation space
    `Box((-2, -2, -1.5, -1.5), (2, 2, 1.5, 1.5), (4,), float32)`: place (x, y) and velocity.

    ## Dynamics
    place' = place + 0.1 velocity, and velocity' = 0.9 velocity + 0.1 action + wind + noise n with standard normal n,
    each within the bounds of the observation. Wind and noise are those of the quadrant of `place`: (0.02, 0) and 0.01
    for x, y < 0; (0, -0.03) and 0.1 for x < 0 <= y; (-0.03, 0) and 0.01 for y < 0 <= x; (0, 0.02) and 0.1 for 0 <= x,
    y. `set_state` puts an episode anywhere, and `dynamics` of the definition is the mean of a step.

    ## Reward
    Minus the distance of place' to the goal (1, 1).

    ## Start of an episode
    At rest, uniform within 0.2 of (-1, -1) in each coordinate, or at `reset(options={"start": (x, y, vx, vy)})`, which
    may also be an array (num_envs, 4).

    ## End of an episode
    Never terminates; the registered id truncates after 50 steps.

    ## Arguments
    - `noise` (1.0): factor of all standard deviations; 0 makes the world deterministic.

    ## Registered ids
    - `envzoo/WindyPoint-v0`
    """

    option_names = ("start",)
    render_fps = 15

    def __init__(self, noise: float = 1.0) -> None:
        self.parameters = Parameters(WIND.copy(), NOISE * check_number("noise", noise, 0))
        self.state = State(body=(np.float64, (4,)), moves=np.int64)
        self.bound = np.array([EDGE, EDGE, FASTEST, FASTEST])
        self.limits = {"body": (-self.bound, self.bound), "moves": (0, MOST)}
        high = self.bound.astype(np.float32)
        self.observation_space = spaces.Box(-high, high)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.kernels = Kernels(reset, step, observe)

    def dynamics(self, body: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the mean and the standard deviation of the next state before it is put within the bounds.

        Args:
            body: (N, 4) states.
            action: (N, 2).

        Returns:
            Mean and standard deviation, (N, 4) each.
        """
        body, action = np.asarray(body, np.float64), np.asarray(action, np.float64)
        where = 2 * (body[:, 0] >= 0) + (body[:, 1] >= 0)
        place = body[:, :2] + MOVE * body[:, 2:]
        speed = DRAG * body[:, 2:] + PUSH * action + self.parameters.wind[where]
        spread = np.zeros_like(body)
        spread[:, 2:] = self.parameters.noise[where][:, None]
        return np.concatenate([place, speed], axis=1), spread

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the start states from the reset options."""
        if "start" not in given:
            return Options(start=np.full((num_envs, 4), np.nan))
        start = np.asarray(given["start"])
        usable = start.dtype.kind in "iuf" and start.shape in ((4,), (num_envs, 4))
        if not usable or not (np.abs(start) <= self.bound).all():
            raise EnvzooError(
                f"reset option start is {shorten(repr(given['start']))}; expected (x, y, vx, vy) within the "
                f"observation space, or an array ({num_envs}, 4)"
            )
        return Options(start=np.broadcast_to(start, (num_envs, 4)).astype(np.float64))

    def draw(self, state: State) -> np.ndarray:
        """Draw the quadrants, the noisy ones darker, with the goal and the point."""
        pixels = 240
        scale = pixels / (2 * EDGE)
        canvas = art.Canvas(pixels, pixels)
        for x, y in ((-EDGE, 0.0), (0.0, 0.0)):
            left, top = (x + EDGE) * scale, (EDGE - y - EDGE) * scale
            canvas.rectangle(left, top, left + pixels / 2, top + pixels / 2, art.PALE_BLUE)
        canvas.disc((GOAL[0] + EDGE) * scale, (EDGE - GOAL[1]) * scale, 8, art.GREEN)
        x, y = float(state.body[0]), float(state.body[1])
        canvas.disc((x + EDGE) * scale, (EDGE - y) * scale, 6, art.ORANGE)
        return canvas.image()

    def describe(self, state: State) -> str:
        """State the step number, the place and the velocity."""
        x, y, vx, vy = (float(value) for value in state.body)
        return f"step {int(state.moves)}, place ({x:+.2f}, {y:+.2f}), velocity ({vx:+.2f}, {vy:+.2f})"


class WindyPointEnv(KernelEnv):
    """Single environment of `WindyPoint`."""

    definition_class = WindyPoint


class WindyPointVectorEnv(KernelVectorEnv):
    """Vector environment of `WindyPoint`."""

    definition_class = WindyPoint
