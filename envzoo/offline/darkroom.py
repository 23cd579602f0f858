"""Darkroom: find an unseen goal on a grid, within an episode and over many of them (52)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError, shorten
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_whole
from envzoo.offline.darkroom_model import ModelOfRoom, ModelOfRoomWithKey

MOVES = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]])


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    size: int
    start: np.ndarray  # int64 (2,)
    goal: np.ndarray  # int64 (2,), the key of DarkKeyToDoor
    door: np.ndarray  # int64 (2,), of DarkKeyToDoor
    moves: np.ndarray  # int64 (5, 2), displacement of each action


class State(NamedTuple):
    """State of one episode."""

    position: Any  # int64 (2,)
    steps: Any
    stage: Any  # of DarkKeyToDoor: 0 before the key, 1 with it, 2 after the door


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.position[i, 0], state.position[i, 1] = parameters.start[0], parameters.start[1]
            state.steps[i] = 0
            state.stage[i] = 0


@njit(cache=True)
def _walk(parameters, state, i, action):
    """Move one episode by one cell, within the grid."""
    for axis in range(2):
        moved = state.position[i, axis] + parameters.moves[action, axis]
        state.position[i, axis] = min(max(moved, 0), parameters.size - 1)
    state.steps[i] += 1


@njit(cache=True)
def _is_at(state, i, cell):
    """Tell whether an episode is at a cell."""
    return state.position[i, 0] == cell[0] and state.position[i, 1] == cell[1]


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel of Darkroom; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            _walk(parameters, state, i, actions[i])
            rewards[i] = 1.0 if _is_at(state, i, parameters.goal) else 0.0


@njit(cache=True)
def step_key_door(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel of DarkKeyToDoor; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            _walk(parameters, state, i, actions[i])
            if state.stage[i] == 0 and _is_at(state, i, parameters.goal):
                state.stage[i] = 1
                rewards[i] += 1.0
            if state.stage[i] == 1 and _is_at(state, i, parameters.door):
                state.stage[i] = 2
                rewards[i] += 1.0


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the position."""
    observation[:] = state.position


def read_cell(name: str, value: Any, size: int) -> np.ndarray:
    """Return a cell (row, column) of a square grid as int64 (2,); raises EnvzooError for another value."""
    try:
        cell = np.asarray(value)
    except (TypeError, ValueError):
        cell = np.empty(0)
    if cell.shape != (2,) or cell.dtype.kind not in "iu" or not ((cell >= 0) & (cell < size)).all():
        raise EnvzooError(f"{name} is {shorten(repr(value))}; expected (row, column) from 0 to {size - 1}")
    return cell.astype(np.int64)


class DarkGrid(Definition):
    """Base of the dark rooms."""

    def set_up(self, size: int, start: Any, goal: Any, door: Any, permutation: Any) -> None:
        """Check the arguments and set the attributes of the definition."""
        size = check_whole("size", size, 2, 1000)
        try:
            order = np.asarray(permutation)
        except (TypeError, ValueError):
            order = np.empty(0)
        if order.shape != (5,) or order.dtype.kind not in "iu" or sorted(order.tolist()) != [0, 1, 2, 3, 4]:
            raise EnvzooError(
                f"permutation is {shorten(repr(permutation))}; expected the numbers 0 to 4, each of them once"
            )
        middle = (size // 2, size // 2)
        self.parameters = Parameters(
            size,
            read_cell("start", middle if start is None else start, size),
            read_cell("goal", goal, size),
            read_cell("door", door, size),
            MOVES[order.astype(np.int64)],
        )
        self.state = State(position=(np.int64, (2,)), steps=np.int64, stage=np.int64)
        self.limits = {"position": (0, size - 1), "steps": (0, np.iinfo(np.int64).max // 2), "stage": (0, 2)}
        self.observation_space = spaces.MultiDiscrete([size, size])
        self.action_space = spaces.Discrete(5)

    def distance(self) -> int:
        """Compute the steps from the start to the goal."""
        return int(np.abs(self.parameters.start - self.parameters.goal).sum())

    def draw(self, state: State) -> np.ndarray:
        """Draw the grid with the goal (and the door) and the player."""
        size = self.parameters.size
        cell = 240 // size if size <= 120 else 2
        canvas = art.Canvas(size * cell, size * cell, art.GRID)
        places = [(self.parameters.goal, art.GREEN)]
        if isinstance(self, DarkKeyToDoor):
            places.append((self.parameters.door, art.BLUE))
        for (row, column), colour in places:
            canvas.rectangle(column * cell, row * cell, (column + 1) * cell, (row + 1) * cell, colour)
        row, column = (int(value) for value in state.position)
        canvas.disc((column + 0.5) * cell, (row + 0.5) * cell, 0.35 * cell, art.ORANGE)
        return canvas.image()

    def describe(self, state: State) -> str:
        """State the step number and the cell."""
        return f"step {int(state.steps)}, cell ({int(state.position[0])}, {int(state.position[1])})"


class Darkroom(DarkGrid):
    """A dark room: the observation is one's own cell, the goal is not seen, and every step on it pays.

    ## Description
    A task is a goal, or an order of the actions. Within a task an agent learns over many episodes; across tasks it can
    learn to learn: an agent whose weights are fixed improves from episode to episode by what it remembers. Used by
    algorithm distillation and its relatives (Laskin et al., arXiv 2210.14215; Chen et al., arXiv 2505.15143).

    ## Action space
    `Discrete(5)`: with the default permutation 0 row + 1, 1 row - 1, 2 column + 1, 3 column - 1, 4 stay; action i is
    entry `permutation[i]` of this list. Moves stop at the walls.

    ## Observation space
    `MultiDiscrete([size, size])`: row and column.

    ## Reward
    1 for every step that ends on the goal, otherwise 0. The largest return of H steps is H + 1 less the distance from
    start to goal, at most H.

    ## Start of an episode
    At `start`.

    ## End of an episode
    Never terminates. The registered ids truncate after 20 steps (`envzoo/Darkroom-v0`) or 50. `env.unwrapped.model()`
    is the exact model.

    ## Arguments
    - `size` (9): rows and columns.
    - `goal` ((8, 8)): the goal (row, column).
    - `start` (None): the first cell; None takes the middle.
    - `permutation` ((0, 1, 2, 3, 4)): order of the actions.

    ## Registered ids
    - `envzoo/Darkroom-v0`: the defaults above.
    - `envzoo/Darkroom-Permuted-v0`: from (0, 0) to (8, 8); tasks differ in `permutation`.
    - `envzoo/Darkroom-Large-v0`: 15 rows and columns.
    """

    def __init__(
        self,
        size: int = 9,
        goal: Sequence[int] = (8, 8),
        start: Sequence[int] | None = None,
        permutation: Sequence[int] = (0, 1, 2, 3, 4),
    ) -> None:
        self.set_up(size, start, goal, goal, permutation)
        self.kernels = Kernels(reset, step, observe)

    def largest_return(self, horizon: int) -> int:
        """Compute the largest return of an episode of `horizon` steps."""
        return int(np.clip(horizon + 1 - self.distance(), 0, horizon))


class DarkKeyToDoor(DarkGrid):
    """A dark room with a key and a door: both are unseen, and the door pays only after the key.

    ## Description
    See `envzoo/Darkroom-v0`. A task is a pair of key and door.

    ## Action space
    `Discrete(5)`: 0 row + 1, 1 row - 1, 2 column + 1, 3 column - 1, 4 stay, in the order of `permutation`.

    ## Observation space
    `MultiDiscrete([size, size])`: row and column; whether the key is held is not observed.

    ## Reward
    1 for the first step onto the key, and 1 for the first step onto the door with the key, at most 2 in all.

    ## Start of an episode
    At `start`.

    ## End of an episode
    Never terminates. The registered id truncates after 50 steps. `env.unwrapped.model()` is the exact model, whose
    states know whether the key is held.

    ## Arguments
    - `size` (9): rows and columns.
    - `key` ((0, 8)), `door` ((8, 0)): their cells (row, column).
    - `start` (None): the first cell; None takes the middle.
    - `permutation` ((0, 1, 2, 3, 4)): order of the actions.

    ## Registered ids
    - `envzoo/DarkKeyToDoor-v0`
    """

    def __init__(
        self,
        size: int = 9,
        key: Sequence[int] = (0, 8),
        door: Sequence[int] = (8, 0),
        start: Sequence[int] | None = None,
        permutation: Sequence[int] = (0, 1, 2, 3, 4),
    ) -> None:
        size = check_whole("size", size, 2, 1000)
        read_cell("key", key, size)
        self.set_up(size, start, key, door, permutation)
        self.kernels = Kernels(reset, step_key_door, observe)

    def largest_return(self, horizon: int) -> int:
        """Compute the largest return of an episode of `horizon` steps: how many of key and door can be reached."""
        # A step is needed even where the start is the key; a door on the key is reached by the same step.
        key = max(1, self.distance())
        door = key + int(np.abs(self.parameters.goal - self.parameters.door).sum())
        return int(horizon >= key) + int(horizon >= door)


class DarkroomEnv(ModelOfRoom, KernelEnv):
    """Single environment of `Darkroom`."""

    definition_class = Darkroom


class DarkroomVectorEnv(ModelOfRoom, KernelVectorEnv):
    """Vector environment of `Darkroom`."""

    definition_class = Darkroom


class DarkKeyToDoorEnv(ModelOfRoomWithKey, KernelEnv):
    """Single environment of `DarkKeyToDoor`."""

    definition_class = DarkKeyToDoor


class DarkKeyToDoorVectorEnv(ModelOfRoomWithKey, KernelVectorEnv):
    """Vector environment of `DarkKeyToDoor`."""

    definition_class = DarkKeyToDoor
