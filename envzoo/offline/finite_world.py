"""Finite worlds from a table of outcomes: kernels, exact model, drawing. The worlds of this family derive from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError, shorten
from envzoo.kernel import Definition, Kernels
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import MOST
from envzoo.kernel.stream import normal, uniform
from envzoo.tabular import FiniteMDP

NO_START = -1  # the initial law draws the first state


class Parameters(NamedTuple):
    """Parameters shared by all episodes, for S states, A actions and up to K outcomes of an action."""

    cumulative: np.ndarray  # float64 (S, A, K), cumulative probabilities of the outcomes
    following: np.ndarray  # int64 (S, A, K), next states
    rewards: np.ndarray  # float64 (S, A, K)
    ends: np.ndarray  # bool (S, A, K), whether the outcome ends the episode
    noise: float  # standard deviation of the noise of the rewards
    first: np.ndarray  # float64 (S,), cumulative initial law
    features: np.ndarray  # float64 (S, A, d)


class State(NamedTuple):
    """State of one episode."""

    cell: Any
    moves: Any


class FeatureInfos(NamedTuple):
    """Entries of `info` of worlds with features."""

    phi: Any  # float64 (A, d)


class Options(NamedTuple):
    """Options of `reset`; -1 where no start is given."""

    start: Any  # int64 (num_envs,)


@njit(cache=True)
def _draw_index(cumulative, u):
    """Return the first index whose cumulative probability exceeds u, the last one if rounding leaves none."""
    for k in range(cumulative.shape[0] - 1):
        if u < cumulative[k]:
            return k
    return cumulative.shape[0] - 1


@njit(cache=True)
def _start(parameters, state, streams, i, options):
    """Start episode i."""
    asked = options.start[i]
    state.cell[i] = asked if asked >= 0 else _draw_index(parameters.first, uniform(streams, i))
    state.moves[i] = 0


@njit(cache=True)
def _move(parameters, state, streams, i, action, rewards, terminated):
    """Take one step in episode i."""
    cell = state.cell[i]
    k = _draw_index(parameters.cumulative[cell, action], uniform(streams, i))
    rewards[i] = parameters.rewards[cell, action, k]
    if parameters.noise > 0.0:
        rewards[i] += parameters.noise * normal(streams, i)
    terminated[i] = parameters.ends[cell, action, k]
    state.cell[i] = parameters.following[cell, action, k]
    state.moves[i] += 1


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            _start(parameters, state, streams, i, options)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            _move(parameters, state, streams, i, actions[i], rewards, terminated)


@njit(cache=True)
def reset_with_features(parameters, state, streams, where, options, infos):
    """Reset kernel of worlds with features."""
    for i in range(where.size):
        if where[i]:
            _start(parameters, state, streams, i, options)
            infos.phi[i] = parameters.features[state.cell[i]]


@njit(cache=True)
def step_with_features(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel of worlds with features."""
    for i in range(where.size):
        if where[i]:
            _move(parameters, state, streams, i, actions[i], rewards, terminated)
            infos.phi[i] = parameters.features[state.cell[i]]


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the number of the state."""
    observation[:] = state.cell


def _cumulative(p: np.ndarray) -> np.ndarray:
    """Compute cumulative probabilities along the last axis that are exactly 1 from the last possible outcome on."""
    after = np.flip(np.cumsum(np.flip(p, -1), axis=-1), -1) - p
    return np.where(after <= 0, 1.0, np.cumsum(p, axis=-1, dtype=np.float64))


class FiniteWorld(Definition):
    """Base of the finite worlds; a subclass calls `set_up` with its table of outcomes.

    Attributes:
        gamma: Discount factor of `model()`.
    """

    option_names = ("start",)
    gamma: float

    def set_up(
        self,
        probabilities: np.ndarray,
        following: np.ndarray,
        rewards: np.ndarray,
        ends: np.ndarray,
        *,
        gamma: float,
        first: np.ndarray,
        noise: float = 0.0,
        features: np.ndarray | None = None,
    ) -> None:
        """Set the attributes of the definition.

        Args:
            probabilities: (S, A, K) of the outcomes of an action; each row sums to 1.
            following: (S, A, K) next states.
            rewards: (S, A, K).
            ends: bool (S, A, K), outcomes that end the episode.
            gamma: Discount factor.
            first: (S,) initial law.
            noise: Standard deviation of normal noise added to the rewards.
            features: (S, A, d), shown as `info["phi"]`; None for a world without features.
        """
        states, actions, _ = probabilities.shape
        self.gamma, self._first, self._probabilities = gamma, first, probabilities
        self.parameters = Parameters(
            _cumulative(probabilities),
            np.asarray(following, np.int64),
            np.asarray(rewards, np.float64),
            np.asarray(ends, np.bool_),
            float(noise),
            _cumulative(first),
            np.zeros((states, actions, 0)) if features is None else np.asarray(features, np.float64),
        )
        self.state = State(cell=np.int64, moves=np.int64)
        self.limits = {"cell": (0, states - 1), "moves": (0, MOST)}
        self.observation_space = spaces.Discrete(states)
        self.action_space = spaces.Discrete(actions)
        if features is None:
            self.kernels = Kernels(reset, step, observe)
        else:
            self.infos = FeatureInfos(phi=(np.float64, features.shape[1:]))
            self.kernels = Kernels(reset_with_features, step_with_features, observe)

    def model(self) -> FiniteMDP:
        """Compute the exact model: the transition probabilities of steps that do not end, and expected rewards."""
        given, p = self.parameters, np.zeros((*self._probabilities.shape[:2], self._probabilities.shape[0]))
        s, a, k = np.nonzero(~given.ends)
        np.add.at(p, (s, a, given.following[s, a, k]), self._probabilities[s, a, k])
        return FiniteMDP(p, (self._probabilities * given.rewards).sum(axis=-1), self.gamma, self._first)

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the start states from the reset options: one state, or one for each episode."""
        if "start" not in given:
            return Options(start=np.full(num_envs, NO_START, np.int64))
        start, states = np.asarray(given["start"]), len(self.parameters.first)
        whole = start.dtype.kind in "iu" and start.shape in ((), (num_envs,))
        if not whole or start.min() < 0 or start.max() >= states:
            raise EnvzooError(
                f"reset option start is {shorten(repr(given['start']))}; expected a state from 0 to {states - 1}, or "
                f"one for each of {num_envs} episodes"
            )
        return Options(start=np.broadcast_to(start, num_envs).astype(np.int64))

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """Draw the states on a circle, with the transitions and the present state."""
        pixels, states = 240, len(self.parameters.first)
        canvas = art.Canvas(pixels, pixels)
        angles = [2 * math.pi * s / states - math.pi / 2 for s in range(states)]
        radius = pixels * 0.38
        places = [(pixels / 2 + radius * math.cos(a), pixels / 2 + radius * math.sin(a)) for a in angles]
        size = min(16.0, 2.2 * radius / states)
        pairs = np.argwhere(self._probabilities > 0)
        seen = {(int(s), int(self.parameters.following[s, a, k])) for s, a, k in pairs}
        for s, t in sorted(seen):
            canvas.line([places[s], places[t]], art.GRID, 1)
        for s, place in enumerate(places):
            here = s == int(state.cell)
            canvas.disc(*place, size, art.ORANGE if here else art.PALE_BLUE, art.FRAME)
            if size > 9:
                canvas.text(*place, str(s), art.INK, 12)
        return canvas.image()

    def describe(self, state: State) -> str:
        """State the step number and the state."""
        return f"step {int(state.moves)}, state {int(state.cell)} of {len(self.parameters.first)}"


class ModelOfWorld:
    """Mixin of the environments of finite worlds: `env.unwrapped.model()`, read by planners and by evaluation."""

    definition: FiniteWorld

    def model(self) -> FiniteMDP:
        """Return the exact model of the world."""
        return self.definition.model()


def single_outcomes(p: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Write transition probabilities (S, A, S) and rewards (S, A) as a table of outcomes that never ends."""
    states = p.shape[-1]
    following = np.broadcast_to(np.arange(states), p.shape)
    return p, following, np.broadcast_to(r[..., None], p.shape), np.zeros(p.shape, bool)
