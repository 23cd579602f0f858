"""LineWorld: a corridor in which the right action is logged only in some places (33)."""

from __future__ import annotations

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

LENGTH = 10.0
STEP, NOISE = 0.5, 0.05
GOAL, START = 9.5, 2.0
COST = 0.01


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    noise: float
    widest_start: float


class State(NamedTuple):
    """State of one episode."""

    x: Any
    moves: Any


class Options(NamedTuple):
    """Options of `reset`; NaN where no start is given."""

    start: Any  # float64 (num_envs,)


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            drawn = parameters.widest_start * uniform(streams, i)
            state.x[i] = drawn if np.isnan(options.start[i]) else options.start[i]
            state.moves[i] = 0


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            moved = state.x[i] + STEP * np.float64(actions[i, 0]) + parameters.noise * normal(streams, i)
            state.x[i] = min(max(moved, 0.0), LENGTH)
            state.moves[i] += 1
            terminated[i] = state.x[i] >= GOAL
            rewards[i] = 1.0 if terminated[i] else -COST


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel; see `envzoo.kernel.Kernels`."""
    for i in range(state.x.size):
        observation[i, 0] = state.x[i]


class LineWorld(Definition):
    """A corridor: walk to its right end.

    ## Description
    The best action is to go right everywhere. The interest lies in the datasets: in `envzoo/line-world/striped-v0` the
    right action is logged in every other stretch of the corridor only, and in the others its opposite. An agent that
    stays close to the action logged in the *same* state turns back there; one that may borrow a logged action from
    *another* state reaches the end. Designed after the didactic example of PRDC (Ran et al., arXiv 2306.06569).

    ## Action space
    `Box(-1, 1, (1,), float32)`: the direction and speed.

    ## Observation space
    `Box(0, 10, (1,), float32)`: the position x.

    ## Dynamics
    x' = clip(x + 0.5 a + `noise` n, 0, 10) with standard normal n.

    ## Reward
    1 for the step that ends at x' >= 9.5, and -0.01 for every other step.

    ## Start of an episode
    Uniform on [0, 2]; with `start="anywhere"` uniform on [0, 10]; or `reset(options={"start": x})`, which may also be
    an array (num_envs,).

    ## End of an episode
    Terminates at x >= 9.5. The registered id truncates after 60 steps.

    ## Arguments
    - `noise` (0.05): standard deviation of the noise of a step.
    - `start` ("left"): "left" or "anywhere".

    ## Registered ids
    - `envzoo/LineWorld-v0`
    """

    option_names = ("start",)
    render_fps = 10

    def __init__(self, noise: float = NOISE, start: str = "left") -> None:
        check_choice("start", start, ("left", "anywhere"))
        self.parameters = Parameters(check_number("noise", noise, 0), START if start == "left" else LENGTH)
        self.state = State(x=np.float64, moves=np.int64)
        self.limits = {"x": (0.0, LENGTH), "moves": (0, MOST)}
        self.observation_space = spaces.Box(0.0, LENGTH, (1,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.kernels = Kernels(reset, step, observe)

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the start positions from the reset options."""
        if "start" not in given:
            return Options(start=np.full(num_envs, np.nan))
        start = np.asarray(given["start"])
        usable = start.dtype.kind in "iuf" and start.shape in ((), (num_envs,))
        if not usable or not ((start >= 0) & (start <= LENGTH)).all():
            raise EnvzooError(
                f"reset option start is {shorten(repr(given['start']))}; expected a position from 0 to {LENGTH:g}, or "
                f"one for each of {num_envs} episodes"
            )
        return Options(start=np.broadcast_to(start, num_envs).astype(np.float64))

    def draw(self, state: State) -> np.ndarray:
        """Draw the corridor with the start, the goal and the present position."""
        width, height, margin = 320, 72, 16
        scale = (width - 2 * margin) / LENGTH
        canvas = art.Canvas(width, height)
        canvas.rectangle(margin, 28, width - margin, 44, art.GRID)
        canvas.rectangle(margin, 28, margin + START * scale, 44, art.PALE_BLUE)
        canvas.rectangle(margin + GOAL * scale, 28, width - margin, 44, art.GREEN)
        canvas.disc(margin + float(state.x) * scale, 36, 7, art.ORANGE)
        return canvas.image()

    def describe(self, state: State) -> str:
        """State the step number and the position."""
        return f"step {int(state.moves)}, x = {float(state.x):.2f}"


class LineWorldEnv(KernelEnv):
    """Single environment of `LineWorld`."""

    definition_class = LineWorld


class LineWorldVectorEnv(KernelVectorEnv):
    """Vector environment of `LineWorld`."""

    definition_class = LineWorld
