"""SurpriseRooms: a chain of dark and noisy rooms on a grid, with Minigrid's observations and codes (paper 15)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError, unknown
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel.arguments import check_number, check_whole
from envzoo.sizes import check_bytes
from envzoo.surprise import room_picture
from envzoo.surprise.cells import CLOSED_DOOR, EMPTY_CELL, LAST, unpack_to
from envzoo.surprise.codes import (
    BOX,
    COLOURS,
    DARK,
    DONE,
    DOOR,
    DROP,
    EMPTY,
    FLOOR,
    FORWARD,
    GOAL,
    SWITCH,
    TELEVISION,
    TOGGLE,
    TURN_LEFT,
    TURN_RIGHT,
)
from envzoo.surprise.coverage import noise_layout
from envzoo.surprise.noise import change_channel, move_balls, recolour
from envzoo.surprise.room_generator import NO_ROOM, Layout, build, chain_found
from envzoo.surprise.view import AHEAD_X, AHEAD_Y, LARGEST_VIEW, look_at

# Minigrid's action numbers for each action set.
ACTION_SETS = {"five": (TURN_LEFT, TURN_RIGHT, FORWARD, TOGGLE, DROP), "minigrid": tuple(range(DONE + 1))}
ATTEMPTS = 20_000
BLOCK = 64  # views that are converted to Minigrid's codes at once, while they are in the cache


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    layout: Layout
    meaning: np.ndarray  # int64, Minigrid's number of each action
    goal_time: int


class State(NamedTuple):
    """State of one episode."""

    grid: Any  # uint8 (size, size), [column, row], see `envzoo.surprise.cells`
    rooms: Any  # int64 (rooms, 4): first column and row, last column and row, including walls
    kind: Any  # int64 (rooms,): dark, flickering, balls or television
    stopped: Any  # bool (rooms,), whether the noise was switched off
    visited: Any  # bool (rooms,)
    balls: Any  # int64 (most balls, 3): column, row and room of each ball; room -1: no ball
    pose: Any  # int64 (3,): column, row and heading of the agent
    room: Any  # room of the agent
    time: Any  # number of steps taken, at most goal_time


@njit(cache=True)
def _room_of(state, i, x, y):
    """Return the first room of the chain that contains a cell, including walls and doors; the current room if none."""
    for number in range(state.rooms.shape[1]):
        if (
            state.rooms[i, number, 0] <= x <= state.rooms[i, number, 2]
            and state.rooms[i, number, 1] <= y <= state.rooms[i, number, 3]
        ):
            return number
    return state.room[i]


@njit(cache=True)
def _toggle(state, i, x, y):
    """Open or close a door that is not locked, or open a box, which stops the noise of its room."""
    content, colour = divmod(np.int64(state.grid[i, x, y]), COLOURS)
    if content == DOOR:
        state.grid[i, x, y] = CLOSED_DOOR * COLOURS + colour
    elif content == CLOSED_DOOR:
        state.grid[i, x, y] = DOOR * COLOURS + colour
    elif content == BOX:
        state.grid[i, x, y] = EMPTY_CELL
        state.stopped[i, _room_of(state, i, x, y)] = True


@njit(cache=True)
def _report(state, where, infos):
    """Write the infos of the episodes marked in `where`."""
    for i in range(where.size):
        if where[i]:
            visited, noisy, stopped = 0, 0, 0
            for number in range(state.kind.shape[1]):
                visited += state.visited[i, number]
                noisy += state.kind[i, number] != DARK
                stopped += state.stopped[i, number]
            room = state.room[i]
            condition = 0 if state.kind[i, room] == DARK else 1 if state.stopped[i, room] else -1
            infos.room[i] = room
            infos.rooms_visited[i] = visited
            infos.noisy_rooms[i] = noisy
            infos.noisy_stopped[i] = stopped
            infos.noisy_stopped_fraction[i] = stopped / max(noisy, 1)
            infos.room_state[i] = condition
            infos.in_active_noise[i] = condition == -1


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.stopped[i] = False
            state.visited[i] = False
            state.visited[i, 0] = True
            state.room[i] = 0
            state.time[i] = 0
            build(parameters.layout, state, streams, i)
    _report(state, where, infos)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`. The noise comes before the action."""
    cells = state.grid.reshape(-1)
    # In a loop of its own, whose branches the processor guesses better without those of random actions between them.
    for i in range(where.size):
        if where[i]:
            move_balls(state, streams, i)
            recolour(state, cells, streams, i)
    for i in range(where.size):
        if not where[i]:
            continue
        state.time[i] = min(state.time[i] + 1, parameters.goal_time)
        action = parameters.meaning[actions[i]]
        x, y, heading = state.pose[i, 0], state.pose[i, 1], state.pose[i, 2]
        x, y = x + AHEAD_X[heading], y + AHEAD_Y[heading]
        inside = 0 <= x < state.grid.shape[1] and 0 <= y < state.grid.shape[2]
        if action == TURN_LEFT:
            state.pose[i, 2] = (heading + 3) % 4
        elif action == TURN_RIGHT:
            state.pose[i, 2] = (heading + 1) % 4
        elif action == TOGGLE and inside:
            _toggle(state, i, x, y)
        elif action == DROP and parameters.layout.television:
            change_channel(state, streams, i)
        elif action == FORWARD and inside:
            content = state.grid[i, x, y] // COLOURS
            if content in (EMPTY, FLOOR, DOOR, GOAL, SWITCH):
                state.pose[i, 0], state.pose[i, 1] = x, y
                room = _room_of(state, i, x, y)
                state.room[i] = room
                state.visited[i, room] = True
                if content == SWITCH:
                    state.stopped[i, room] = True
                elif content == GOAL:
                    rewards[i] = 1.0 - 0.9 * state.time[i] / parameters.goal_time
                    terminated[i] = True
    _report(state, where, infos)


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the agent's view."""
    cells, numbers = state.grid.reshape(-1), observation.reshape(-1)
    columns, rows, view = state.grid.shape[1], state.grid.shape[2], observation.shape[1]
    size = view * view
    shown = np.empty(min(BLOCK, state.room.size) * size, np.uint8)
    for begin in range(0, state.room.size, BLOCK):
        end = min(begin + BLOCK, state.room.size)
        shown[:] = 0
        for i in range(begin, end):
            x, y, heading = state.pose[i, 0], state.pose[i, 1], state.pose[i, 2]
            look_at(cells, i * columns * rows, columns, rows, x, y, heading, shown, (i - begin) * size, view)
        unpack_to(shown, (end - begin) * size, numbers, begin * size * 3)


class SurpriseRooms(Definition):
    """A chain of rooms on a grid, some dark, some noisy until a box is opened or a switch stepped on; no reward.

    ## Description
    Every episode has a new chain of rooms, laid out as in Minigrid's MultiRoom and connected by closed doors. Each room
    is dark (empty) or noisy. The floor of a flickering room is covered with tiles that all change colour at random in
    every step; opening the box in the room stops this until the end of the episode. In a room of balls, balls move at
    random until the agent steps on the room's switch. The agent sees a small square in front of it, in which walls and
    closed doors hide what is behind them. An agent that seeks novel observations is caught by the noise, one that
    avoids them by the dark rooms; only an agent that stops the noise can make progress. These are the rooms of
    adversarial surprise (Fickinger et al., "Explore and Control with Adversarial Surprise", arXiv 2107.07394). A
    television, after Raileanu and Rocktäschel ("RIDE: Rewarding Impact-Driven Exploration for Procedurally-Generated
    Environments", arXiv 2002.12292), is noise that the agent controls and that cannot be stopped: a ball in the first
    room that changes colour whenever the agent uses the action `drop`. In each step the noise comes before the action.

    ## Action space
    `Discrete(5)`, or with `actions="minigrid"` Minigrid's `Discrete(7)`.

    | action | of 7 | effect |
    |---|---|---|
    | 0 | 0 | turn left |
    | 1 | 1 | turn right |
    | 2 | 2 | move forward, onto empty cells, tiles, open doors, switches and the goal |
    | 3 | 5 | toggle: open or close the door ahead, or open the box ahead |
    | 4 | 4 | stay; changes the colour of the television if there is one (`drop`) |
    | | 3, 6 | stay |

    ## Observation space
    `Box(0, 11, (view, view, 3), uint8)`, Minigrid's image: type, colour and state of each cell, indexed from left to
    right and from far to near, with the agent in the middle of the nearest row and its own cell shown as empty. Cells
    out of sight are 0. The codes are Minigrid's, for its `Grid.decode`; only type 11, the switch, is an addition.

    | code | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 11 |
    |---|---|---|---|---|---|---|---|---|---|---|
    | type | unseen | empty | wall | floor tile | door | | ball | box | goal | switch |
    | colour | red | green | blue | purple | yellow | grey | | | | |
    | state of a door | open | closed | | | | | | | | |

    ## Reward
    Always 0. With `goal=True`, 1 - 0.9 * t / goal_time for entering the goal in step t (at least 0.1).

    ## Info
    After every reset and step, for the episode so far: `room`, the index of the agent's room along the chain (a door
    belongs to the room before it); `rooms_visited`, including the start; `noisy_rooms`, the number of noisy rooms,
    including that of a television; `noisy_stopped`, the number of them that were stopped; `noisy_stopped_fraction`,
    their fraction (0 if there are none); `room_state`, the current state of the room: -1 noisy, 0 dark, 1 stopped;
    `in_active_noise`, whether it is -1.

    ## Start of an episode
    On a random cell of the first room, facing a random direction, with all doors closed and all noise on.

    ## End of an episode
    Truncated by the time limit of the registered id: the world itself has no end and the observation no clock, so
    agents should bootstrap at the limit. With `goal=True` it also terminates at the goal.

    ## Arguments
    - `size` (17), `rooms` (4): cells along each side of the grid, and length of the chain, at least 2.
    - `least_side`, `most_side` (4, 6): range of the sides of a room, including walls, drawn uniformly; at least 4.
    - `view` (5): cells along each side of the view, odd.
    - `p_dark`, `p_floor`, `p_ball` (0.5, 0.5, 0): probabilities of rooms that are dark, have tiles, and have balls.
    - `density` (1): fraction of the floor of a noisy room covered with tiles or balls; never all of it.
    - `actions` ("five"): "five" or "minigrid".
    - `television` (False): whether the first room has a television in place of its random content.
    - `goal` (False), `goal_time` (64): whether the last room has a goal, and in how many steps its reward falls to 0.1.
    - `paper_layout` (False): whether boxes may stand in front of doors and block the way, as in the paper's code.

    ## Registered ids
    - `envzoo/SurpriseRooms-v0`: the defaults above, 64 steps.
    - `envzoo/SurpriseRooms-Paper-v0`: the paper's rooms as configured in its code: grid of 25, sides of 4 to 8, view of
    7, Minigrid's actions, `paper_layout=True`, 128 steps.
    - `envzoo/SurpriseRooms-Balls-v0`: half of the rooms dark, a quarter with tiles, a quarter with balls; density 0.5.
    - `envzoo/NoisyTVRooms-v0`: seven dark rooms, the first with a television; size 25, view 7, 7 actions, 140 steps.
    - `envzoo/DarkRooms-v0`: all rooms dark.
    - `envzoo/SurpriseRooms-Goal-v0`, `envzoo/SurpriseRooms-Paper-Goal-v0`, `envzoo/SurpriseRooms-Balls-Goal-v0`,
    `envzoo/NoisyTVRooms-Goal-v0`, `envzoo/DarkRooms-Goal-v0`: the same with `goal=True`, and the limit as `goal_time`.
    """

    def __init__(
        self,
        size: int = 17,
        rooms: int = 4,
        least_side: int = 4,
        most_side: int = 6,
        view: int = 5,
        p_dark: float = 0.5,
        p_floor: float = 0.5,
        p_ball: float = 0.0,
        density: float = 1.0,
        actions: str = "five",
        television: bool = False,
        goal: bool = False,
        goal_time: int = 64,
        paper_layout: bool = False,
    ) -> None:
        self.view = check_whole("view", view, 3)
        if view % 2 == 0 or view > LARGEST_VIEW:
            raise EnvzooError(f"view is {view}; expected an odd number from 3 to {LARGEST_VIEW}")
        shares = [
            check_number(*named, 0, 1) for named in (("p_dark", p_dark), ("p_floor", p_floor), ("p_ball", p_ball))
        ]
        if not np.isclose(sum(shares), 1.0):
            raise EnvzooError(f"p_dark + p_floor + p_ball is {sum(shares):g}; expected probabilities that sum to 1")
        dark, floor, _ = (share / sum(shares) for share in shares)
        if not isinstance(actions, str) or actions not in ACTION_SETS:
            raise unknown("actions", actions, ACTION_SETS)
        time = check_whole("goal_time", goal_time, 1)
        least = check_whole("least_side", least_side, 4)
        layout = Layout(
            size=check_whole("size", size, 5),
            rooms=check_whole("rooms", rooms, 2),
            least_side=least,
            most_side=check_whole("most_side", most_side, least),
            p_dark=dark,
            p_floor=floor if p_ball else 1.0,  # rounding must not select a kind of probability 0
            density=check_number("density", density, 0, 1, above=True),
            anywhere=bool(paper_layout),
            television=bool(television),
            goal=bool(goal),
        )
        check_bytes(
            64 * (layout.size**2 + layout.rooms),
            f"{layout.rooms} rooms in a grid of {layout.size}x{layout.size}",
        )
        self._require_room(layout)
        self.size, self.rooms, self.goal = layout.size, layout.rooms, layout.goal
        meaning = np.array(ACTION_SETS[actions])
        self.parameters = Parameters(layout, meaning, time)
        self.observation_space = spaces.Box(0, SWITCH, (self.view, self.view, 3), np.uint8)
        self.action_space = spaces.Discrete(meaning.size)
        self.kernels = Kernels(reset, step, observe)
        cells = (layout.most_side - 2) ** 2
        # At least one ball, because an array needs a row.
        balls = max(1, layout.rooms * min(int(layout.density * cells), cells - 2)) if p_ball else 1
        last = layout.size - 1
        self.state = State(
            grid=(np.uint8, (layout.size, layout.size)),
            rooms=(np.int64, (layout.rooms, 4)),
            kind=(np.int64, (layout.rooms,)),
            stopped=(np.bool_, (layout.rooms,)),
            visited=(np.bool_, (layout.rooms,)),
            balls=(np.int64, (balls, 3)),
            pose=(np.int64, (3,)),
            room=np.int64,
            time=np.int64,
        )
        self.infos = noise_layout()
        self.limits = {
            "grid": (0, LAST),
            "rooms": (0, last),
            "kind": (DARK, TELEVISION),
            "balls": ((0, 0, NO_ROOM), (last, last, layout.rooms - 1)),
            "pose": ((0, 0, 0), (last, last, 3)),
            "room": (0, layout.rooms - 1),
            "time": (0, time),
        }

    @staticmethod
    def _require_room(layout: Layout) -> None:
        """Reject a grid in which almost no chain of rooms fits, for which the generator would search forever."""
        streams = np.array([[0, 0]], np.uint64)
        if not chain_found(layout, ATTEMPTS, streams):
            raise EnvzooError(
                f"a chain of {layout.rooms} rooms with sides of {layout.least_side} to {layout.most_side} does not fit "
                f"in a grid of {layout.size} ({ATTEMPTS:,} were tried); expected a larger size, or fewer or smaller "
                "rooms"
            )

    def draw(self, state: State) -> np.ndarray:
        """Draw the grid in Minigrid's style, with the agent's view highlighted and active and stopped noise framed."""
        return room_picture.draw(state, self.view)

    def describe(self, state: State) -> str:
        """Show the grid as text: agent > v < ^, # wall, D and / closed and open door, and the content of the rooms."""
        return room_picture.describe(state)


class SurpriseRoomsEnv(KernelEnv):
    """Single environment of `SurpriseRooms`."""

    definition_class = SurpriseRooms


class SurpriseRoomsVectorEnv(KernelVectorEnv):
    """Vector environment of `SurpriseRooms`."""

    definition_class = SurpriseRooms
