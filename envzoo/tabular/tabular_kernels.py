"""Kernels of `TabularEnv`: alias sampling of outcomes and observations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from envzoo.kernel.memory import prefetch
from envzoo.kernel.stream import uniform

NO_HORIZON = np.iinfo(np.int64).max


class Parameters(NamedTuple):
    """A world as the kernels read it; R = S * A rows of outcomes."""

    actions: int
    horizon: int
    table: np.ndarray  # float64 (R, K, 2): threshold of the alias table; codes of both next states, see `pack`
    codes: np.ndarray  # int64 (R, K, 2), the same memory
    alias: np.ndarray  # int32 (R, K), or (1, 1) where all outcomes of an action pay the same
    pays: np.ndarray  # float64 (R, K), or (R, 1) where all outcomes of an action pay the same
    starts: np.ndarray  # int64 (n,), the possible first states
    start_threshold: np.ndarray  # float64 (1, n)
    start_alias: np.ndarray  # int32 (1, n)
    shown_threshold: np.ndarray  # float64 (S, J)
    shown_alias: np.ndarray  # int32 (S, J)
    symbols: np.ndarray  # int64 (S, J)
    symbol_pays: np.ndarray  # float64 (O,), rewards of observations; empty if outcomes pay
    contexts: np.ndarray  # int64 (S,), of latent processes; empty otherwise
    available: np.ndarray  # bool (S, A), or (1, A) if nothing is restricted


class State(NamedTuple):
    """State of one episode."""

    latent: Any
    symbol: Any  # the observation
    time: Any  # steps taken, counted only up to a horizon


def pack(threshold: np.ndarray, alias: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put all that a step reads of an outcome into 16 bytes, so that a step in a large world waits for memory once.

    Args:
        threshold: (R, K) float64.
        alias: (R, K) int32.
        to: (R, K) int32, the next state; -1 - state where the episode ends.

    Returns:
        table (R, K, 2) float64, and its memory as int64: the codes are `to` in the lower half, `to[alias]` in the
        upper half.
    """
    table = np.empty((*threshold.shape, 2))
    codes = table.view(np.int64)
    table[..., 0] = threshold
    other = np.take_along_axis(to, alias.astype(np.int64), axis=1)
    codes[..., 1] = (other.astype(np.int64) << 32) | (to.astype(np.int64) & 0xFFFFFFFF)
    return table, codes


@njit(cache=True)
def _draw(threshold, alias, row, streams, i):
    """Draw an index from the alias table of a law, row `row` of the tables (R, K)."""
    size = threshold.shape[1]
    if size == 1:
        return 0
    u = uniform(streams, i) * size
    k = np.int64(u)
    return k if u - k < threshold[row, k] else np.int64(alias[row, k])


@njit(cache=True)
def _begin(parameters, state, streams, options, i):
    """Start an episode."""
    latent = options.state[i]
    if latent < 0:
        latent = parameters.starts[_draw(parameters.start_threshold, parameters.start_alias, 0, streams, i)]
    state.latent[i] = latent
    state.time[i] = 0
    k = _draw(parameters.shown_threshold, parameters.shown_alias, latent, streams, i)
    state.symbol[i] = parameters.symbols[latent, k]


@njit(cache=True)
def _advance(parameters, state, streams, where, actions, rewards, terminated):
    """Take one step in the episodes of `where`.

    The loop reads arrays that were taken out of the tuples before it: passing the tuples to a function for each
    episode would take ten times as long.
    """
    table, codes, alias = parameters.table, parameters.codes, parameters.alias
    shown_threshold, shown_alias, symbols = parameters.shown_threshold, parameters.shown_alias, parameters.symbols
    pays, symbol_pays, count = parameters.pays, parameters.symbol_pays, parameters.actions
    latents, shown, times = state.latent, state.symbol, state.time
    horizon, several, most = parameters.horizon, parameters.pays.shape[1] > 1, parameters.table.shape[1]
    rows, columns, fractions = np.empty(where.size, np.int64), np.empty(where.size, np.int64), np.empty(where.size)
    # A loop of its own, which asks for the reads of the next loop: in a large world each of them misses the cache.
    for i in range(where.size):
        rows[i], columns[i], fractions[i] = latents[i] * count + actions[i], 0, -1.0
        if where[i] and most > 1:
            u = uniform(streams, i) * most
            columns[i] = np.int64(u)
            fractions[i] = u - columns[i]
            prefetch(table, 2 * (rows[i] * most + columns[i]))
    for i in range(where.size):
        if where[i]:
            row, k = rows[i], columns[i]
            own = fractions[i] < table[row, k, 0]
            both = codes[row, k, 1]
            code = (both << 32) >> 32 if own else both >> 32
            terminated[i] = code < 0
            latent = -1 - code if code < 0 else code
            latents[i] = latent
            shown[i] = symbols[latent, _draw(shown_threshold, shown_alias, latent, streams, i)]
            if symbol_pays.size > 0:
                rewards[i] = symbol_pays[shown[i]]
            elif several:
                rewards[i] = pays[row, k if own else np.int64(alias[row, k])]
            else:
                rewards[i] = pays[row, 0]
            if horizon != NO_HORIZON:
                times[i] += 1
                if times[i] >= horizon:
                    terminated[i] = True


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            _begin(parameters, state, streams, options, i)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    _advance(parameters, state, streams, where, actions, rewards, terminated)


@njit(cache=True)
def reset_masked(parameters, state, streams, where, options, infos):
    """Reset kernel of worlds with actions that are not always available."""
    for i in range(where.size):
        if where[i]:
            _begin(parameters, state, streams, options, i)
            infos.action_mask[i] = parameters.available[state.latent[i]]


@njit(cache=True)
def step_masked(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel of worlds with actions that are not always available; those have no effect."""
    moves = where.copy()
    for i in range(where.size):
        if where[i] and not parameters.available[state.latent[i], actions[i]]:
            moves[i] = False
            if parameters.horizon != NO_HORIZON:
                state.time[i] += 1
                terminated[i] = state.time[i] >= parameters.horizon
    _advance(parameters, state, streams, moves, actions, rewards, terminated)
    for i in range(where.size):
        if where[i]:
            infos.action_mask[i] = parameters.available[state.latent[i]]


@njit(cache=True)
def reset_latent(parameters, state, streams, where, options, infos):
    """Reset kernel of latent processes."""
    for i in range(where.size):
        if where[i]:
            _begin(parameters, state, streams, options, i)
            infos.context[i] = -1


@njit(cache=True)
def step_latent(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel of latent processes: the context is told with the end of the episode."""
    _advance(parameters, state, streams, where, actions, rewards, terminated)
    for i in range(where.size):
        if where[i]:
            infos.context[i] = parameters.contexts[state.latent[i]] if terminated[i] else -1


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel."""
    for i in range(state.symbol.size):
        observation[i] = state.symbol[i]
