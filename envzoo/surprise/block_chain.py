"""BlockChain: a line of dark and noisy rooms with exactly computable entropies (paper 15)."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError, unknown
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer
from envzoo.sizes import check_bytes
from envzoo.surprise.block_entropies import BlockEntropies
from envzoo.surprise.coverage import noise_layout

LEFT, RIGHT, PRESS, STAY = range(4)
LAYOUTS = ("tv", "alternating", "dark")
# Pixels of a room, of the text strip below, and of a tile.
ROOM, STRIP, TILE = 60, 24, 16


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    noisy: np.ndarray  # bool (rooms,)
    colours: int
    goal: int  # room that ends the episode, -1 for none
    goal_time: int


class State(NamedTuple):
    """State of one episode."""

    room: Any
    tiles: Any  # int64 (tiles,), visible colours: 0 in a quiet room
    stopped: Any  # bool (rooms,), whether the noise was switched off
    visited: Any  # bool (rooms,)
    time: Any  # number of steps taken, at most goal_time


@njit(cache=True)
def _redraw(parameters, state, streams, i):
    """Draw the visible tiles: new colours in active noise, otherwise 0."""
    room = state.room[i]
    active = parameters.noisy[room] and not state.stopped[i, room]
    for k in range(state.tiles.shape[1]):
        state.tiles[i, k] = 1 + integer(streams, i, parameters.colours) if active else 0


@njit(cache=True)
def _report(parameters, state, infos, i):
    """Write the infos of episode i."""
    room = state.room[i]
    visited, noisy, stopped = 0, 0, 0
    for k in range(parameters.noisy.size):
        visited += state.visited[i, k]
        noisy += parameters.noisy[k]
        stopped += state.stopped[i, k]
    infos.room[i] = room
    infos.rooms_visited[i] = visited
    infos.noisy_rooms[i] = noisy
    infos.noisy_stopped[i] = stopped
    infos.noisy_stopped_fraction[i] = stopped / max(noisy, 1)
    infos.room_state[i] = 0 if not parameters.noisy[room] else 1 if state.stopped[i, room] else -1
    infos.in_active_noise[i] = infos.room_state[i] == -1


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.room[i] = 0
            state.time[i] = 0
            state.stopped[i] = False
            state.visited[i] = False
            state.visited[i, 0] = True
            _redraw(parameters, state, streams, i)
            _report(parameters, state, infos, i)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    last = parameters.noisy.size - 1
    for i in range(where.size):
        if where[i]:
            state.time[i] = min(state.time[i] + 1, parameters.goal_time)
            room = state.room[i]
            if actions[i] == LEFT:
                room = max(room - 1, 0)
            elif actions[i] == RIGHT:
                room = min(room + 1, last)
            elif actions[i] == PRESS and parameters.noisy[room]:
                state.stopped[i, room] = True
            state.room[i] = room
            state.visited[i, room] = True
            if room == parameters.goal:
                rewards[i] = 1.0 - 0.9 * state.time[i] / parameters.goal_time
                terminated[i] = True
            _redraw(parameters, state, streams, i)
            _report(parameters, state, infos, i)


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the room, then its tiles."""
    for i in range(state.room.size):
        observation[i, 0] = state.room[i]
        for k in range(state.tiles.shape[1]):
            observation[i, 1 + k] = state.tiles[i, k]


class BlockChain(BlockEntropies, Definition):
    """A line of rooms, some dark, some noisy until a button is pressed, without reward.

    ## Description
    A minimal world in which both seeking and avoiding surprise fail. In a noisy room the tiles change colour at random
    in every step, so an agent rewarded for novel observations stays there; in a dark room nothing happens, so an agent
    rewarded for predictable observations stays there. The button of a noisy room stops its noise until the end of the
    episode. The world is a block Markov decision process: the observation determines the room and whether its noise is
    on, so the entropy of observations decomposes exactly, H(O) = H(S) + H(O|S). The methods `state_entropy`,
    `emission_entropy` and `observation_entropy` compute the three terms for any distribution over these states, and
    `occupancy` computes the distribution induced by a policy. Designed to test adversarial surprise (Fickinger et al.,
    "Explore and Control with Adversarial Surprise", arXiv 2107.07394), whose rooms of changing colours it reduces to a
    line.

    ## Action space
    `Discrete(4)`.

    | action | effect |
    |---|---|
    | 0 | left: move one room down the line; no effect in room 0 |
    | 1 | right: move one room up the line; no effect in the last room |
    | 2 | press: stop the noise of the room; no effect in a dark room |
    | 3 | stay |

    ## Observation space
    `MultiDiscrete([rooms] + [colours + 1] * tiles)`: the room, then its tiles: 0 in a dark or stopped room, otherwise
    colours 1 to `colours`, each tile redrawn independently at every step.

    ## Reward
    Always 0. With `goal=True`, 1 - 0.9 * t / goal_time for entering the last room in step t (at least 0.1).

    ## Info
    After every reset and step, for the episode so far: `room`; `rooms_visited`, including the start; `noisy_rooms`, the
    number of noisy rooms; `noisy_stopped`, the number of them that were stopped; `noisy_stopped_fraction`, their
    fraction (0 if there are none); `room_state`, the current state of the room: -1 noisy, 0 dark, 1 stopped;
    `in_active_noise`, whether it is -1.

    ## Start of an episode
    In room 0, with all noise on.

    ## End of an episode
    Truncated by the time limit, 64 steps for the registered ids: the world itself has no end and the observation no
    clock, so agents should bootstrap at the limit. With `goal=True` it also terminates in the last room.

    ## Arguments
    - `rooms` (12): length of the line, at least 2.
    - `layout` ("alternating"): which rooms are noisy: "alternating" for the odd ones, "tv" for room 1 only, "dark" for
    none, or a sequence of room indices.
    - `tiles` (4): tiles per room.
    - `colours` (6): number of colours of a tile.
    - `goal` (False): whether the last room is a rewarded goal that ends the episode.
    - `goal_time` (64): number of steps over which the reward of the goal decreases from 1 to 0.1.

    ## Registered ids
    - `envzoo/BlockChain-v0`: the defaults above.
    - `envzoo/BlockChain-TV-v0`: `layout="tv"`.
    - `envzoo/BlockChain-Goal-v0`: `goal=True`, to evaluate on a task what was learned without reward.
    """

    def __init__(
        self,
        rooms: int = 12,
        layout: str | Sequence[int] = "alternating",
        tiles: int = 4,
        colours: int = 6,
        goal: bool = False,
        goal_time: int = 64,
    ) -> None:
        self.rooms = check_whole("rooms", rooms, 2)
        self.tiles = check_whole("tiles", tiles, 1)
        self.colours = check_whole("colours", colours, 2)
        time = check_whole("goal_time", goal_time, 1)
        check_bytes(8 * self.rooms + 64 * self.tiles, f"a line of {self.rooms} rooms with {self.tiles} tiles")
        self.goal = bool(goal)
        self.noisy = self._noisy(layout)
        self.parameters = Parameters(self.noisy, self.colours, self.rooms - 1 if goal else -1, time)
        self.observation_space = spaces.MultiDiscrete([self.rooms] + [self.colours + 1] * self.tiles)
        self.action_space = spaces.Discrete(4)
        self.kernels = Kernels(reset, step, observe)
        self.state = State(
            room=np.int64,
            tiles=(np.int64, (self.tiles,)),
            stopped=(np.bool_, (self.rooms,)),
            visited=(np.bool_, (self.rooms,)),
            time=np.int64,
        )
        self.infos = noise_layout()
        self.limits = {"room": (0, self.rooms - 1), "tiles": (0, self.colours), "time": (0, time)}

    def _noisy(self, layout: str | Sequence[int]) -> np.ndarray:
        """Return which rooms are noisy, bool (rooms,)."""
        noisy = np.zeros(self.rooms, np.bool_)
        if isinstance(layout, str):
            if layout not in LAYOUTS:
                raise unknown("layout", layout, LAYOUTS)
            noisy[{"tv": slice(1, 2), "alternating": slice(1, None, 2), "dark": slice(0)}[layout]] = True
            return noisy
        numbers = np.asarray(layout if len(layout) else np.empty(0, np.int64)) if hasattr(layout, "__len__") else None
        if (
            numbers is None
            or numbers.ndim != 1
            or numbers.dtype.kind not in "iu"
            or not np.isin(numbers, np.arange(self.rooms)).all()
        ):
            raise EnvzooError(
                f"layout is {layout!r}; expected one of {', '.join(LAYOUTS)} or a sequence of rooms from 0 to "
                f"{self.rooms - 1}"
            )
        noisy[numbers] = True
        return noisy

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """Draw the line of rooms: visited light, noise as coloured tiles, stopped noise crossed out; and the agent."""
        canvas = art.Canvas(self.rooms * ROOM, ROOM + STRIP, art.INK)
        for room in range(self.rooms):
            self._draw_room(canvas, state, room)
        middle = (int(state.room) + 0.5) * ROOM
        canvas.disc(middle, ROOM * 0.78, 8, art.RED, ring=art.PAPER)
        if self.goal:
            canvas.text((self.rooms - 0.5) * ROOM, ROOM + STRIP / 2, "goal", art.PAPER, 12)
        canvas.text(8, ROOM + STRIP / 2, self._counts(state), art.PAPER, 12, anchor="lm")
        return canvas.image()

    def _draw_room(self, canvas: art.Canvas, state: State, room: int) -> None:
        left = room * ROOM
        canvas.rectangle(left + 1, 1, left + ROOM - 1, ROOM - 1, art.PAPER if state.visited[room] else art.MUTED)
        if not self.noisy[room]:
            return
        columns = min(self.tiles, 3 if self.tiles in (3, 5, 6) else 2)
        columns = max(columns, -(-self.tiles // 2))
        size = min(TILE, (ROOM - 8) / columns)
        for k in range(self.tiles):
            x = left + ROOM / 2 + (k % columns - columns / 2) * size
            y = 6 + k // columns * size
            here = room == state.room
            colour = self._colour(int(state.tiles[k])) if here and not state.stopped[room] else art.FRAME
            canvas.rectangle(x + 1, y + 1, x + size - 1, y + size - 1, colour)
        if state.stopped[room]:
            ends = ((left + ROOM / 2 - 16, 6), (left + ROOM / 2 + 16, 6 + 2 * size))
            canvas.line(ends, art.GREEN, 3)

    def _colour(self, tile: int) -> tuple[int, int, int]:
        red, green, blue = colorsys.hsv_to_rgb((tile - 1) / self.colours, 0.75, 0.9)
        return round(red * 255), round(green * 255), round(blue * 255)

    def _counts(self, state: State) -> str:
        return f"visited {int(state.visited.sum())} of {self.rooms}, stopped {int(state.stopped.sum())} of " + str(
            int(self.noisy.sum())
        )

    def describe(self, state: State) -> str:
        """Show the line as text: A agent, ~ noise, = stopped noise, . dark; then the tiles and counts."""
        signs = np.where(self.noisy, np.where(state.stopped, "=", "~"), ".")
        signs[state.room] = "A"
        tiles = " ".join(map(str, state.tiles.tolist()))
        return f"{''.join(signs)}\nroom {int(state.room)}, tiles {tiles}, {self._counts(state)}"


class BlockChainEnv(KernelEnv):
    """Single environment of `BlockChain`."""

    definition_class = BlockChain


class BlockChainVectorEnv(KernelVectorEnv):
    """Vector environment of `BlockChain`."""

    definition_class = BlockChain
