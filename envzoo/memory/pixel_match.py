"""PixelMatch: a cue in one corner of an image says which of two goals far from each other pays (paper 51)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_number, check_whole
from envzoo.kernel.stream import integer

SIDE, CELL = 8, 3  # cells of the grid, pixels of a cell
CELLS, PIXELS = SIDE * SIDE, SIDE * CELL
APART = 7  # least distance of the two goals in moves
NOT_ENDED = -1
COLOURS = np.array([[230, 126, 0], [0, 114, 178]], np.uint8)  # orange and blue
SQUARE, CROSS = 0, 1


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    horizon: int
    cost: float


class State(NamedTuple):
    """State of one episode."""

    agent: Any  # cell, row * 8 + column
    goals: Any  # int64 (2,), cells of the orange and the blue goal
    corner: Any  # 0 to 3: cue in the upper left, upper right, lower left or lower right corner
    colour: Any  # of the cue: 0 orange, 1 blue
    shape: Any  # of the cue: 0 square, 1 cross
    clock: Any  # number of moves so far
    reached: Any  # -1, or the goal on which the episode ended


@njit(cache=True)
def corner_cell(corner):
    """Return the cell of a corner."""
    return (corner // 2) * (SIDE - 1) * SIDE + (corner % 2) * (SIDE - 1)


@njit(cache=True)
def paying_goal(colour, shape):
    """Return the goal that pays: the one of the cue's colour for a square, the other one for a cross."""
    return colour if shape == SQUARE else 1 - colour


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.corner[i] = integer(streams, i, 4)
            state.colour[i] = integer(streams, i, 2)
            state.shape[i] = integer(streams, i, 2)
            cue = corner_cell(state.corner[i])
            while True:
                one, other = integer(streams, i, CELLS), integer(streams, i, CELLS)
                moves = abs(one // SIDE - other // SIDE) + abs(one % SIDE - other % SIDE)
                if moves >= APART and one != cue and other != cue:
                    break
            state.goals[i, 0] = one
            state.goals[i, 1] = other
            while True:
                agent = integer(streams, i, CELLS)
                if agent != cue and agent != one and agent != other:
                    break
            state.agent[i] = agent
            state.clock[i] = 0
            state.reached[i] = NOT_ENDED


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            row, column = state.agent[i] // SIDE, state.agent[i] % SIDE
            if actions[i] == 0:
                column = min(column + 1, SIDE - 1)
            elif actions[i] == 1:
                row = min(row + 1, SIDE - 1)
            elif actions[i] == 2:
                column = max(column - 1, 0)
            else:
                row = max(row - 1, 0)
            cell = row * SIDE + column
            state.agent[i] = cell
            state.clock[i] += 1
            rewards[i] = -parameters.cost
            terminated[i] = state.clock[i] == parameters.horizon
            for goal in range(2):
                if cell == state.goals[i, goal]:
                    pays = goal == paying_goal(state.colour[i], state.shape[i])
                    rewards[i] += 1.0 if pays else -1.0
                    state.reached[i] = goal
                    terminated[i] = True


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the image."""
    observation[:] = 0
    for i in range(observation.shape[0]):
        for goal in range(2):
            top, left = state.goals[i, goal] // SIDE * CELL, state.goals[i, goal] % SIDE * CELL
            for c in range(3):
                observation[i, top : top + CELL, left : left + CELL, c] = COLOURS[goal, c]
        cue = corner_cell(state.corner[i])
        top, left = cue // SIDE * CELL, cue % SIDE * CELL
        for y in range(CELL):
            for x in range(CELL):
                # A square is an outline, a cross are the two diagonals: goals are full tiles, so cues differ from them.
                centre = y == 1 and x == 1
                inside = (not centre) if state.shape[i] == SQUARE else (y + x) % 2 == 0
                if inside:
                    for c in range(3):
                        observation[i, top + y, left + x, c] = COLOURS[state.colour[i], c]
        top, left = state.agent[i] // SIDE * CELL, state.agent[i] % SIDE * CELL
        observation[i, top : top + CELL, left : left + CELL, :] = 255


class PixelMatch(Definition):
    """Read a cue in a corner of an image and walk to the goal that it names.

    ## Description
    An image of 8x8 cells shows the agent (white), two goals (a full orange and a full blue tile) at least 7 moves
    apart, and a cue in a random corner. A square as the cue means that the goal of its colour pays; a cross means that
    the other one pays. The cue, the goals and the agent lie anywhere, so an encoder has to relate distant parts of the
    image. Made for the comparison of visual state space models (Pei et al., "EfficientVMamba", AAAI 2025, arXiv
    2403.09977) with convolutions. Nothing is hidden: no memory is needed.

    ## Action space
    `Discrete(4)`: 0 right, 1 down, 2 left, 3 up. A move off the grid leaves the agent in place.

    ## Observation space
    `Box(0, 255, (24, 24, 3), uint8)`.

    ## Reward
    -`cost` for every move, and in addition 1 on the goal that pays and -1 on the other one.

    ## Start of an episode
    The corner, the cue, the goals and the agent are drawn uniformly among the arrangements without overlap.

    ## End of an episode
    Terminates on a goal, and after `horizon` moves. This is not a time limit on a continuing task, which would be a
    truncation: nothing can be gained after it, so agents must not bootstrap.

    ## Arguments
    - `horizon` (24): largest number of moves.
    - `cost` (0.01): cost of a move.

    ## Registered ids
    - `envzoo/PixelMatch-v0`
    """

    def __init__(self, horizon: int = 24, cost: float = 0.01) -> None:
        self.horizon, self.cost = check_whole("horizon", horizon, 1), check_number("cost", cost, 0)
        self.parameters = Parameters(self.horizon, self.cost)
        whole = np.int64
        self.state = State(whole, (whole, (2,)), whole, whole, whole, whole, whole)
        self.limits = {
            "agent": (0, CELLS - 1),
            "goals": (0, CELLS - 1),
            "corner": (0, 3),
            "colour": (0, 1),
            "shape": (0, 1),
            "clock": (0, self.horizon),
            "reached": (NOT_ENDED, 1),
        }
        self.running_limits = {"clock": (0, self.horizon - 1)}
        self.observation_space = spaces.Box(0, 255, (PIXELS, PIXELS, 3), np.uint8)
        self.action_space = spaces.Discrete(4)
        self.kernels = Kernels(reset, step, observe)

    def draw(self, state: State) -> np.ndarray:
        """Enlarge the image, and write below it what the cue says."""
        image = np.zeros((1, PIXELS, PIXELS, 3), np.uint8)
        observe(self.parameters, State(*(np.asarray(field)[None] for field in state)), image)
        return art.captioned(image[0].repeat(14, 0).repeat(14, 1), self.describe(state), below=True)

    def describe(self, state: State) -> str:
        """Say in one line what the cue means and how the episode stands."""
        pays = int(paying_goal(int(state.colour), int(state.shape)))
        names = ("orange", "blue")
        cue = f"{names[int(state.colour)]} {'square' if state.shape == SQUARE else 'cross'}: {names[pays]} pays"
        if state.reached == NOT_ENDED:
            return f"{cue}; the agent is white"
        reached = int(state.reached)
        return f"{cue}; reached {names[reached]}: {'right' if reached == pays else 'wrong'}"


class PixelMatchEnv(KernelEnv):
    """Single environment of `PixelMatch`."""

    definition_class = PixelMatch


class PixelMatchVectorEnv(KernelVectorEnv):
    """Vector environment of `PixelMatch`."""

    definition_class = PixelMatch
