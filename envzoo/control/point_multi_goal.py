"""PointMultiGoal: a point in the plane with four equally good goals (paper 19)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import read_positions
from envzoo.kernel.stream import normal

EDGE = 7.0
START_DEVIATION = 0.1
GOALS = np.array([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0], [0.0, -5.0]])
TRACE = 64  # number of positions stored for drawing


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    actuation_cost: float
    goal_reward: float
    goal_radius: float
    goals: np.ndarray  # float64 (4, 2)


class State(NamedTuple):
    """State of one episode."""

    position: Any  # float64 (2,)
    moves: Any
    trace: Any  # float32 (TRACE, 2), the first positions, for drawing


class Infos(NamedTuple):
    """Entries of `info`."""

    goal: Any
    distance: Any


class Options(NamedTuple):
    """Options of `reset`; NaN where no start is given."""

    start: Any  # float64 (num_envs, 2)


@njit(cache=True)
def _look(parameters, state, i, infos):
    """Write the nearest goal of episode i and its distance to the infos; returns the distance."""
    nearest, least = 0, np.inf
    for g in range(parameters.goals.shape[0]):
        dx = state.position[i, 0] - parameters.goals[g, 0]
        dy = state.position[i, 1] - parameters.goals[g, 1]
        distance = math.sqrt(dx * dx + dy * dy)
        if distance < least:
            nearest, least = g, distance
    infos.goal[i] = nearest
    infos.distance[i] = least
    if state.moves[i] < state.trace.shape[1]:
        state.trace[i, state.moves[i], 0] = state.position[i, 0]
        state.trace[i, state.moves[i], 1] = state.position[i, 1]
    return least


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            for axis in range(2):
                asked = options.start[i, axis]
                drawn = START_DEVIATION * normal(streams, i)
                state.position[i, axis] = drawn if np.isnan(asked) else asked
            state.moves[i] = 0
            state.trace[i] = 0.0
            _look(parameters, state, i, infos)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            effort = 0.0
            for axis in range(2):
                action = np.float64(actions[i, axis])
                effort += action * action
                state.position[i, axis] = min(max(state.position[i, axis] + action, -EDGE), EDGE)
            state.moves[i] += 1
            distance = _look(parameters, state, i, infos)
            rewards[i] = -(parameters.actuation_cost * effort + distance * distance)
            if distance < parameters.goal_radius:
                rewards[i] += parameters.goal_reward
                terminated[i] = True


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel; see `envzoo.kernel.Kernels`."""
    for i in range(state.moves.size):
        observation[i, 0] = state.position[i, 0]
        observation[i, 1] = state.position[i, 1]


class PointMultiGoal(Definition):
    """A point in the plane that can reach four equally good goals.

    ## Description
    The point starts near the centre of a square, at about the same distance from four goals. All four are optimal, so a
    policy that maintains its entropy reaches all of them, while a policy that collapses reaches only one or two. The
    task is the multi-goal example published with Soft Actor-Critic (Haarnoja et al., arXiv 1812.05905).

    ## Action space
    `Box(-1, 1, (2,), float32)`: the displacement (x, y) of one step.

    ## Observation space
    `Box(-7, 7, (2,), float32)`: the position (x, y).

    ## Dynamics
    position' = clip(position + action, -7, 7), without noise.

    ## Reward
    -(`actuation_cost` * |action|^2 + d^2), with d the distance from the new position to the nearest goal; plus
    `goal_reward` when d < `goal_radius`.

    ## Info
    After every reset and step: `goal`, the index of the nearest goal, and `distance`, its distance. The goals are
    0 at (5, 0), 1 at (-5, 0), 2 at (0, 5), 3 at (0, -5).

    ## Start of an episode
    Normally distributed around the centre with standard deviation 0.1 in each coordinate, or set by
    `reset(options={"start": (x, y)})`, which may also be an array (num_envs, 2).

    ## End of an episode
    Terminates when d < `goal_radius`. The registered ids truncate after 30 steps.

    ## Arguments
    - `actuation_cost` (3.0): weight of |action|^2. The original's value, 30, makes the task much slower to learn.
    - `goal_reward` (10.0): bonus for reaching a goal.
    - `goal_radius` (1.0): distance below which a goal counts as reached.

    ## Registered ids
    - `envzoo/PointMultiGoal-v0`: the defaults above.
    - `envzoo/PointMultiGoal-Paper-v0`: `actuation_cost=30`, as in the original.
    """

    option_names = ("start",)
    render_fps = 10

    def __init__(self, actuation_cost: float = 3.0, goal_reward: float = 10.0, goal_radius: float = 1.0) -> None:
        for name, value in (
            ("actuation_cost", actuation_cost),
            ("goal_reward", goal_reward),
            ("goal_radius", goal_radius),
        ):
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < 0:
                raise EnvzooError(f"{name} is {value!r}; expected a number of at least 0")
        self.parameters = Parameters(float(actuation_cost), float(goal_reward), float(goal_radius), GOALS.copy())
        self.state = State(position=(np.float64, (2,)), moves=np.int64, trace=(np.float32, (TRACE, 2)))
        self.limits = {"moves": (0, np.iinfo(np.int64).max // 2)}
        self.infos = Infos(goal=np.int64, distance=np.float64)
        self.observation_space = spaces.Box(-EDGE, EDGE, (2,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.kernels = Kernels(reset, step, observe)

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the start positions from the reset options."""
        if "start" in given:
            return Options(start=read_positions("start", given["start"], num_envs, EDGE))
        return Options(start=np.full((num_envs, 2), np.nan))

    def draw(self, state: State) -> np.ndarray:
        """Draw the square with the goals, the path and the point."""
        pixels = 240
        scale = pixels / (2 * EDGE)

        def place(position: Any) -> tuple[float, float]:
            return (float(position[0]) + EDGE) * scale, (EDGE - float(position[1])) * scale

        canvas = art.Canvas(pixels, pixels)
        for tick in range(-6, 7, 2):
            at = (tick + EDGE) * scale
            canvas.rectangle(at - 0.5, 0, at + 0.5, pixels, art.GRID)
            canvas.rectangle(0, at - 0.5, pixels, at + 0.5, art.GRID)
        for goal in self.parameters.goals:
            canvas.disc(*place(goal), self.parameters.goal_radius * scale, art.PALE_BLUE)
            canvas.disc(*place(goal), 3, art.BLUE)
        known = min(int(state.moves) + 1, TRACE)
        path = [place(point) for point in state.trace[:known]]
        canvas.line(path, art.MUTED, 2)
        for point in path[:-1]:
            canvas.disc(*point, 2.2, art.MUTED)
        canvas.disc(*place(state.position), 6, art.ORANGE)
        return canvas.image()

    def describe(self, state: State) -> str:
        """State the step number and the position."""
        return f"step {int(state.moves)}, position ({state.position[0]:+.2f}, {state.position[1]:+.2f})"


class PointMultiGoalEnv(KernelEnv):
    """Single environment of `PointMultiGoal`."""

    definition_class = PointMultiGoal


class PointMultiGoalVectorEnv(KernelVectorEnv):
    """Vector environment of `PointMultiGoal`."""

    definition_class = PointMultiGoal
