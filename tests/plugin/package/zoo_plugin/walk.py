"""A walk along a line, on a Numba kernel."""

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    cells: int


class State(NamedTuple):
    """One episode."""

    cell: Any


@njit
def reset(parameters, state, streams, where, options, infos):
    """Go to the first cell."""
    for i in range(where.size):
        if where[i]:
            state.cell[i] = 0


@njit
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Go one cell to the right, or stay."""
    for i in range(where.size):
        if where[i]:
            state.cell[i] = min(state.cell[i] + actions[i], parameters.cells)
            terminated[i] = state.cell[i] == parameters.cells
            rewards[i] = 1.0 if terminated[i] else -0.1


@njit
def observe(parameters, state, observation):
    """Show the cell."""
    observation[:] = state.cell


class Walk(Definition):
    """A walk along a line.

    ## Description
    Walk to the last cell.

    ## Arguments
    - `cells` (4): how far the end is.
    """

    def __init__(self, cells: int = 4) -> None:
        self.parameters = Parameters(cells)
        self.state = State(cell=np.int64)
        self.limits = {"cell": (0, cells)}
        self.observation_space = spaces.Discrete(cells + 1)
        self.action_space = spaces.Discrete(2)
        self.kernels = Kernels(reset, step, observe)


class WalkEnv(KernelEnv):
    """One walk."""

    definition_class = Walk


class WalkVectorEnv(KernelVectorEnv):
    """Many walks."""

    definition_class = Walk
