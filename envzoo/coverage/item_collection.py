"""ItemCollection: collect some items of each type on a grid (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.coverage.grid import next_cells
from envzoo.coverage.grid_world import (
    GridWorld,
    MaskObservation,
    Walk,
    arrive,
    begin,
    carried_out,
    check_whole,
    observe_position,
    observe_with_mask,
)
from envzoo.errors import EnvzooError
from envzoo.kernel import KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.stream import integer, keys

NO_ITEM = -1
# The paper's numbers of items of each type on the grid, and of those that count.
COUNTS = (18, 14, 13, 16, 18, 14)
CAPS = (3, 2, 3, 4, 6, 3)
COLOURS = (art.GREEN, art.RED, (204, 121, 167), (220, 190, 40), (86, 180, 233), (110, 80, 160), art.INK, art.MUTED)


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    walk: Walk
    moves: np.ndarray  # int64 (cells, 5)
    caps: np.ndarray  # int64 (types,)
    load: np.ndarray  # int8 (cells,): types of all items, then NO_ITEM; placements are its permutations
    placed: bool  # whether `load` is the placement of every episode


class State(NamedTuple):
    """State of one episode."""

    position: Any  # int64 (2,): cell and number of moves so far
    coverage: Any  # F of the path so far
    covered: Any  # bool (cells,), visited cells
    path: Any  # int32 (horizon + 1,), cells visited so far, then -1
    items: Any  # int8 (cells,), type of the item initially on each cell, or NO_ITEM
    needed: Any  # int64 (types,), number of items of each type that still count


class ItemsObservation(NamedTuple):
    """Observation with `items_visible=True`."""

    position: Any
    items: Any
    needed: Any


class FullObservation(NamedTuple):
    """Observation with `items_visible=True` and `coverage_mask=True`."""

    position: Any
    covered: Any
    items: Any
    needed: Any


@njit(cache=True)
def place(load, streams, i, items):
    """Draw a uniformly random permutation of `load` (cells,) from the stream of episode i into `items` (cells,)."""
    for cell in range(load.size):
        other = integer(streams, i, cell + 1)
        items[cell] = items[other]
        items[other] = load[cell]


@njit(cache=True)
def collect(state, i, cell):
    """Visit `cell`; returns the marginal gain."""
    kind = state.items[i, cell]
    gain = 0.0
    if not state.covered[i, cell] and kind != NO_ITEM and state.needed[i, kind] > 0:
        state.needed[i, kind] -= 1
        gain = 1.0
    state.covered[i, cell] = True
    return gain


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            if parameters.placed:
                state.items[i] = parameters.load
            else:
                place(parameters.load, streams, i, state.items[i])
    starts = begin(parameters.walk, state, streams, where, options)
    for i in range(where.size):
        if where[i]:
            state.needed[i] = parameters.caps
            state.coverage[i] = collect(state, i, starts[i])
            infos.modular_reward[i] = 0.0
            infos.coverage[i] = state.coverage[i]


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    actions = carried_out(parameters.walk, streams, where, actions)
    for i in range(where.size):
        if where[i]:
            cell = parameters.moves[state.position[i, 0], actions[i]]
            rewards[i] = collect(state, i, cell)
            state.coverage[i] += rewards[i]
            terminated[i] = arrive(parameters.walk, state, i, cell)
            infos.modular_reward[i] = np.float64(state.items[i, cell] != NO_ITEM)
            infos.coverage[i] = state.coverage[i]


@njit(cache=True)
def _observe_items(state, items, needed):
    """Write the remaining items and how many of each type still count."""
    columns = items.shape[3]
    for i in range(items.shape[0]):
        needed[i] = state.needed[i]
        for cell in range(state.items.shape[1]):
            if state.items[i, cell] != NO_ITEM and not state.covered[i, cell]:
                items[i, state.items[i, cell], cell // columns, cell % columns] = 1


@njit(cache=True)
def observe_with_items(parameters, state, observation):
    """Observation kernel: position and items."""
    observe_position(parameters, state, observation.position)
    _observe_items(state, observation.items, observation.needed)


@njit(cache=True)
def observe_all(parameters, state, observation):
    """Observation kernel: position, mask and items."""
    observe_with_mask(parameters, state, observation)
    _observe_items(state, observation.items, observation.needed)


# By (coverage_mask, items_visible): the observation type, and the kernel.
_OBSERVATIONS = {
    (False, False): (None, observe_position),
    (True, False): (MaskObservation, observe_with_mask),
    (False, True): (ItemsObservation, observe_with_items),
    (True, True): (FullObservation, observe_all),
}


class ItemCollection(GridWorld):
    """Collect items of each type on a grid within a fixed number of moves.

    ## Description
    Each cell holds at most one item, and items have types. Visiting a cell collects its item, but only the first
    `caps[k]` items of type k count. The value of a path is F(path) = sum over the types k of min(number of distinct
    visited cells with an item of type k, caps[k]), a monotone submodular set function with maximum sum(caps). This is
    the item collection task of submodular reinforcement learning (Prajapat et al., "Submodular Reinforcement Learning",
    ICLR 2024, arXiv 2307.13372).

    ## Action space
    `Discrete(5)`: 0 stay, 1 right, 2 down, 3 left, 4 up. A move off the grid leaves the agent in place.

    ## Observation space
    `MultiDiscrete([rows * columns, horizon + 1])`: the cell (row * columns + column) and the number of moves so far.
    With `items_visible=True` or `coverage_mask=True` a `Dict` of `position` (that pair) and the requested entries:
    `items`, `MultiBinary([types, rows, columns])`, the items not yet collected, and `needed`,
    `MultiDiscrete(caps + 1)`, how many of each type still count; `covered`, `MultiBinary([rows, columns])`, the visited
    cells.

    ## Reward
    1 for an item that counts, otherwise 0. An item on the start cell counts but gives no reward, so the return is
    F(path) - F({start}).

    ## Info
    After every reset and step: `coverage`, F of the path so far; `modular_reward`, 1 if the new cell initially held an
    item, regardless of earlier visits (0 after a reset), the additive reward of the ModPO baseline.

    ## Start of an episode
    Items are placed uniformly at random, determined by `placement_seed`. The agent starts on the cell set by `start` or
    `reset(options={"start": ...})`, which also accepts an array with one cell per episode.

    ## End of an episode
    Terminates after `horizon` moves; the horizon is part of the problem, not an external time limit.

    ## Arguments
    - `rows`, `columns` (7, 15): size of the grid.
    - `counts` ((18, 14, 13, 16, 18, 14)): number of items of each type on the grid.
    - `caps` ((3, 2, 3, 4, 6, 3)): number of items of each type that count.
    - `horizon` (39): number of moves.
    - `start` (34): "corner" (cell 0), "centre", "random" (uniform), a cell index, or a pair (row, column).
    - `placement_seed` (None): fixes the placement of the items; None draws a new one for every episode, from the
    episode's random stream.
    - `items_visible` (False): whether the observation includes the items.
    - `coverage_mask` (False): whether the observation includes the visited cells.
    - `stochasticity` (0.0): probability that a move is replaced by one of the five actions, drawn uniformly.

    ## Registered ids
    - `envzoo/ItemCollection-v0`: the defaults above.
    - `envzoo/ItemCollection-Paper-v0`: the paper's setting: the same placement in all episodes (`placement_seed=0`).
    """

    def __init__(
        self,
        rows: int = 7,
        columns: int = 15,
        counts: Sequence[int] = COUNTS,
        caps: Sequence[int] = CAPS,
        horizon: int = 39,
        start: str | int | tuple[int, int] = 34,
        placement_seed: int | None = None,
        items_visible: bool = False,
        coverage_mask: bool = False,
        stochasticity: float = 0.0,
    ) -> None:
        self._lay_out(rows, columns, horizon)
        counts, caps = _whole_numbers("counts", counts), _whole_numbers("caps", caps)
        if len(counts) != len(caps):
            raise EnvzooError(f"counts has {len(counts)} types but caps has {len(caps)}; expected equal lengths")
        if sum(counts) > self.cells:
            raise EnvzooError(
                f"counts asks for {sum(counts)} items; expected at most {self.cells}, one for each of the "
                f"{self.rows}x{self.columns} cells"
            )
        load = np.full(self.cells, NO_ITEM, np.int8)
        load[: sum(counts)] = np.repeat(np.arange(len(counts)), counts)
        if placement_seed is not None:
            streams = np.zeros((1, 2), np.uint64)
            streams[:, 0] = keys(np.array([check_whole("placement_seed", placement_seed, 0, None) % 2**64], np.uint64))
            placed = np.empty_like(load)
            place(load, streams, 0, placed)
            load = placed
        self.parameters = Parameters(
            walk=self._walk(start, stochasticity),
            moves=next_cells(self.rows, self.columns),
            caps=np.array(caps, np.int64),
            load=load,
            placed=placement_seed is not None,
        )
        self.state = State(
            position=(np.int64, (2,)),
            coverage=np.float64,
            covered=(np.bool_, (self.cells,)),
            path=(np.int32, (self.horizon + 1,)),
            items=(np.int8, (self.cells,)),
            needed=(np.int64, (len(caps),)),
        )
        self.limits = {**self.limits, "items": (NO_ITEM, len(caps) - 1), "needed": (0, caps)}
        self.observation_type, observe = _OBSERVATIONS[bool(coverage_mask), bool(items_visible)]
        self.observation_space = self._spaces(
            covered=spaces.MultiBinary([self.rows, self.columns]) if coverage_mask else None,
            items=spaces.MultiBinary([len(caps), self.rows, self.columns]) if items_visible else None,
            needed=spaces.MultiDiscrete(np.array(caps) + 1) if items_visible else None,
        )
        self.kernels = Kernels(reset, step, observe)

    def value(self, cells: Iterable[int], items: np.ndarray | None = None) -> float:
        """Compute F of a set of visited cells.

        Args:
            cells: The visited cells.
            items: The type on each cell (cells,), -1 for none; required if each episode has its own placement.

        Raises:
            EnvzooError: The placement is required and not given.
        """
        if items is None:
            if not self.parameters.placed:
                raise EnvzooError("each episode places its own items; pass them as `items`, or fix placement_seed")
            items = self.parameters.load
        types = np.ravel(items)[np.unique(np.asarray(list(cells), np.int64))]
        caps = self.parameters.caps
        return float(np.minimum(np.bincount(types[types != NO_ITEM], minlength=caps.size), caps).sum())

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """Draw items as discs, as rings if collected, and pale if their type no longer counts; path and agent."""
        canvas = self._canvas(np.where(state.covered[:, None], art.PALE_BLUE, art.PAPER))
        size = self._cell_size()
        for cell in np.flatnonzero(state.items != NO_ITEM).tolist():
            kind = int(state.items[cell])
            colour = np.array(COLOURS[kind % len(COLOURS)])
            if state.covered[cell]:
                canvas.circle(*self._centre(cell), size * 0.3, tuple(colour.tolist()), size / 10)
            else:
                faded = colour if state.needed[kind] > 0 else (colour + 4 * np.array(art.PAPER)) // 5
                canvas.disc(*self._centre(cell), size * 0.3, tuple(faded.tolist()))
        self._draw_path(canvas, state, art.INK)
        return canvas.image()

    def describe(self, state: State) -> str:
        """Show the grid as text: A agent, S start, o path, . no item, and the type of each remaining item."""
        signs = np.where(state.items == NO_ITEM, ".", state.items.astype("U4"))
        most = int(self.parameters.caps.sum())
        return self._text(signs, state, f"collected {int(state.coverage)} of {most}, still needed {state.needed}")


def _whole_numbers(name: str, values: Sequence[int]) -> list[int]:
    array = np.asarray(values)
    if array.ndim != 1 or not 1 <= array.size <= 127 or array.dtype.kind not in "iu" or array.min() < 0:
        raise EnvzooError(f"{name} is {values!r}; expected a whole number of at least 0 for each type of item")
    return array.tolist()


class ItemCollectionEnv(KernelEnv):
    """Single environment of `ItemCollection`."""

    definition_class = ItemCollection


class ItemCollectionVectorEnv(KernelVectorEnv):
    """Vector environment of `ItemCollection`."""

    definition_class = ItemCollection
