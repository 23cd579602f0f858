"""WeightedCoverage: kernels and base of coverage environments that differ only in the weights of their cells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.coverage.arguments import WalkArguments
from envzoo.coverage.fields import Source, draw_field, fixed_field, no_source
from envzoo.coverage.grid import covered_cells, disc_table, move_table
from envzoo.coverage.grid_world import (
    GridWorld,
    MaskObservation,
    Walk,
    arrive,
    begin,
    carried_out,
    check_whole,
    mixed,
    observe_position,
    observe_with_mask,
)
from envzoo.errors import EnvzooError
from envzoo.kernel import Kernels
from envzoo.kernel import drawing as art


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    walk: Walk
    disc: np.ndarray  # int64 (cells, largest disc), rows padded with the cell itself
    disc_size: np.ndarray  # int64 (cells,)
    moves: np.ndarray  # uint32 (cells, 5, 1 + most): next cell, then the new part of its disc
    resampled: bool  # whether each episode draws its own field from the source
    field: np.ndarray  # float64 (cells,), the weights; unused when resampled
    source: Source


class State(NamedTuple):
    """State of one episode."""

    position: Any  # int64 (2,): cell and number of moves so far
    coverage: Any  # F of the path so far
    covered: Any  # bool (cells,)
    path: Any  # int32 (horizon + 1,), cells visited so far, then -1
    field: Any  # float64 (cells,), the weights if resampled; otherwise (1,), unused


class FieldObservation(NamedTuple):
    """Observation with `field_visible=True`."""

    position: Any
    field: Any


class FullObservation(NamedTuple):
    """Observation with `coverage_mask=True` and `field_visible=True`."""

    position: Any
    covered: Any
    field: Any


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i] and parameters.resampled:
            draw_field(parameters.source, streams, i, state.field[i])
    starts = begin(parameters.walk, state, streams, where, options)
    for i in range(where.size):
        if where[i]:
            field = state.field[i] if parameters.resampled else parameters.field
            start = starts[i]
            state.coverage[i] = 0.0
            for k in range(parameters.disc_size[start]):
                state.covered[i, parameters.disc[start, k]] = True
                state.coverage[i] += field[parameters.disc[start, k]]
            infos.modular_reward[i] = 0.0
            infos.coverage[i] = state.coverage[i]


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    actions = carried_out(parameters.walk, streams, where, actions)
    for i in range(where.size):
        if where[i]:
            field = state.field[i] if parameters.resampled else parameters.field
            # The old disc is already covered, so only the rest of the new one can count; padding counts nothing,
            # because that cell is counted elsewhere or already covered.
            row = parameters.moves[state.position[i, 0], actions[i]]
            gain = 0.0
            for k in range(1, row.size):
                if not state.covered[i, row[k]]:
                    gain += field[row[k]]
                    state.covered[i, row[k]] = True
            cell = row[0]
            modular = 0.0
            for k in range(parameters.disc_size[cell]):
                modular += field[parameters.disc[cell, k]]
            state.coverage[i] += gain
            rewards[i] = gain
            terminated[i] = arrive(parameters.walk, state, i, cell)
            infos.modular_reward[i] = modular
            infos.coverage[i] = state.coverage[i]


@njit(cache=True)
def _observe_field(parameters, state, shown):
    """Write the weights to `shown`, float32 (num_envs, rows, columns)."""
    columns = shown.shape[2]
    for i in range(shown.shape[0]):
        field = state.field[i] if parameters.resampled else parameters.field
        for cell in range(field.size):
            shown[i, cell // columns, cell % columns] = field[cell]


@njit(cache=True)
def observe_with_field(parameters, state, observation):
    """Observation kernel: position and field."""
    observe_position(parameters, state, observation.position)
    _observe_field(parameters, state, observation.field)


@njit(cache=True)
def observe_all(parameters, state, observation):
    """Observation kernel: position, mask and field."""
    observe_with_mask(parameters, state, observation)
    _observe_field(parameters, state, observation.field)


# By (coverage_mask, field_visible): the observation type, and the kernel.
_OBSERVATIONS = {
    (False, False): (None, observe_position),
    (True, False): (MaskObservation, observe_with_mask),
    (False, True): (FieldObservation, observe_with_field),
    (True, True): (FullObservation, observe_all),
}


class WeightedCoverage(GridWorld):
    """Base of environments in which F(path) is the weight of the cells covered by the discs of the path.

    The `__init__` of a subclass calls `_lay_out`, then `_set_up`.
    """

    def _set_up(
        self,
        given: WalkArguments,
        *,
        field: np.ndarray | None = None,
        source: Source | None = None,
        field_seed: int | None = None,
        most: float = 1.0,
    ) -> None:
        """Set the attributes of the definition.

        Args:
            given: Values of the arguments that the worlds share.
            field: The weights (cells,); None to draw them from `source`.
            source: Distribution of the weights.
            field_seed: Fixes the weights drawn from `source`; None draws new ones for every episode.
            most: Upper bound of the weights.

        Raises:
            EnvzooError: An argument is invalid, or a weight is negative or not finite.
        """
        table, sizes = disc_table(self.rows, self.columns, given.disc, given.radius, self.walls)
        moves, _ = move_table(self.rows, self.columns, table, self.walls)
        if field is None and field_seed is not None:
            field = fixed_field(source, check_whole("field_seed", field_seed, 0, None))
        resampled = field is None
        field = np.zeros(1) if resampled else np.array(field, np.float64)
        for cell in np.flatnonzero(~(np.isfinite(field) & (field >= 0)))[:1].tolist():
            raise EnvzooError(
                f"the density of cell {cell} is {field[cell]!s}; expected finite numbers of at least 0, otherwise F "
                "would not be monotone"
            )
        self.parameters = Parameters(
            walk=self._walk(given.start, given.stochasticity),
            disc=table,
            disc_size=sizes,
            moves=moves,
            resampled=resampled,
            field=field,
            source=no_source(self.columns) if source is None else source,
        )
        self.state = State(
            position=(np.int64, (2,)),
            coverage=np.float64,
            covered=(np.bool_, (self.cells,)),
            path=(np.int32, (self.horizon + 1,)),
            field=(np.float64, (self.cells if resampled else 1,)),
        )
        self.observation_type, observe = _OBSERVATIONS[bool(given.coverage_mask), bool(given.field_visible)]
        self.observation_space = self._spaces(
            covered=spaces.MultiBinary([self.rows, self.columns]) if given.coverage_mask else None,
            field=spaces.Box(0.0, most, (self.rows, self.columns), np.float32) if given.field_visible else None,
        )
        self.kernels = Kernels(reset, step, observe)

    # ------------------------------------------------------- the set function

    def field_of(self, state: State) -> np.ndarray:
        """Return the weights (cells,) of one episode."""
        return state.field if self.parameters.resampled else self.parameters.field

    def value(self, cells: Iterable[int], field: np.ndarray | None = None) -> float:
        """Compute F of a set of visited cells: the weight of the union of their discs.

        Args:
            cells: The visited cells.
            field: The weights (cells,); required if each episode draws its own.

        Raises:
            EnvzooError: The weights are required and not given.
        """
        if field is None:
            if self.parameters.resampled:
                raise EnvzooError("each episode draws its own field; pass one as `field`, or fix it with field_seed")
            field = self.parameters.field
        return float(np.ravel(field)[covered_cells(self.parameters.disc, cells)].sum())

    # ---------------------------------------------------------------- drawing

    def _heat(self, state: State) -> np.ndarray:
        """Scale the weights (cells,) from the range of the open cells to [0, 1]; all 0 if they are equal."""
        field = self.field_of(state)
        known = field[self._starts()]
        span = known.max() - known.min()
        return np.clip((field - known.min()) / span, 0, 1) if span > 0 else np.zeros(self.cells)

    def draw(self, state: State) -> np.ndarray:
        """Draw the field as a heat map, green where uncovered and blue where covered, with the path and the agent."""
        heat = self._heat(state)
        colours = mixed(art.PAPER, art.GREEN, heat)
        taken = mixed(art.PALE_BLUE, art.BLUE, 0.75 * heat)
        colours[state.covered] = taken[state.covered]
        if self.walls is not None:
            colours[self.walls] = art.MUTED
        canvas = self._canvas(colours)
        self._draw_path(canvas, state, art.INK)
        return canvas.image()

    def describe(self, state: State) -> str:
        """Show the grid as text: A agent, S start, o path, + covered, else weights from 0 to 9 (. if all are equal)."""
        heat = self._heat(state)
        free = np.minimum(10 * heat, 9).astype(int).astype("U1") if heat.any() else "."
        signs = np.where(state.covered, "+", free)
        return self._text(signs, state, f"value covered {state.coverage:.2f} of {self.field_of(state).sum():.2f}")
