"""PrefPoint: a point in the plane whose paths are judged by preferences, some of which no reward expresses."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel.arguments import check_choice, check_number, check_whole
from envzoo.preference.preferences import FeasiblePreference, Preference, ReturnPreference, SectorPreference

KEPT, PUSH = 0.9, 0.1  # share of the velocity that is kept, and effect of an action on it
EDGE = 30.0  # no path gets further
KINDS = ("max", "noisy", "nonmarkov", "cyclic")


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    horizon: int
    limit: float
    early: int  # the last step at which the limit holds


class State(NamedTuple):
    """State of one episode."""

    place: Any  # float64 (4,): x, y, and velocities
    steps: Any
    violation: Any  # of the limit so far


class Infos(NamedTuple):
    """Entries of `info`."""

    x: Any
    y: Any
    sector: Any
    feasible: Any


@njit(cache=True)
def _show(state, i, infos):
    infos.x[i] = state.place[i, 0]
    infos.y[i] = state.place[i, 1]
    angle = math.atan2(state.place[i, 1], state.place[i, 0]) % (2 * math.pi)
    infos.sector[i] = min(int(angle / (2 * math.pi / 3)), 2)
    infos.feasible[i] = state.violation[i] <= 0


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.place[i] = 0.0
            state.steps[i] = 0
            state.violation[i] = 0.0
            _show(state, i, infos)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            for axis in range(2):
                push = np.float64(actions[i, axis])
                state.place[i, 2 + axis] = KEPT * state.place[i, 2 + axis] + PUSH * push
                state.place[i, axis] += state.place[i, 2 + axis]
            state.steps[i] += 1
            x, y = state.place[i, 0], state.place[i, 1]
            if state.steps[i] <= parameters.early:
                state.violation[i] = max(state.violation[i], x - parameters.limit)
            rewards[i] = -math.sqrt((x - 1) ** 2 + y**2)
            terminated[i] = state.steps[i] == parameters.horizon
            _show(state, i, infos)


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: place, velocity and time."""
    for i in range(state.steps.size):
        for k in range(4):
            observation[i, k] = state.place[i, k]
        observation[i, 4] = state.steps[i] / parameters.horizon


class PrefPoint(Definition):
    """A point in the plane whose paths are compared: by their return, by a rule about their course, or in a cycle.

    ## Description
    The point starts at rest at the origin. Paths are compared in pairs by the preference function
    `env.unwrapped.preference`:

    - "max": the path of larger return is preferred.
    - "noisy": it is preferred with probability sigmoid(difference of the returns / `temperature`).
    - "nonmarkov": a path is feasible if x <= 0.4 until three quarters of the steps are taken. A feasible path is
    preferred to an infeasible one, of two feasible ones that with the larger final x, of two infeasible ones that with
    the smaller violation. No reward of single states expresses this.
    - "cyclic": the plane has three sectors of 120 degrees; a path that ends in sector i is preferred to one that ends
    in sector i + 1 (mod 3). The minimax winner ends in each sector with probability 1/3, and no reward expresses this
    either.

    The four settings are modelled on those of Swamy et al. 2024 (arXiv 2401.04056).

    ## Action space
    `Box(-1, 1, (2,), float32)`: the push. velocity' = 0.9 velocity + 0.1 push, position' = position + velocity'.

    ## Observation space
    `Box(-30, 30, (5,), float32)`: x, y, their velocities, and the share of the steps that are taken.

    ## Reward
    Minus the distance from (1, 0), whatever the preference.

    ## Info
    After every reset and step: `x`, `y`, `sector` (0, 1, 2), and `feasible`, whether the rule of "nonmarkov" has been
    kept.

    ## Start of an episode
    At rest at the origin. The episode has no random element.

    ## End of an episode
    Terminates after `horizon` steps; the horizon is part of the problem.

    ## Arguments
    - `kind` ("max"): the preference, see above.
    - `temperature` (2.0): of "noisy".
    - `flip` (0.0): probability that a label of "max" or "noisy" is turned around, at most 0.5.
    - `horizon` (25): number of steps, at most 100.

    ## Registered ids
    - `envzoo/PrefPoint-v0`: the defaults above.
    """

    def __init__(self, kind: str = "max", temperature: float = 2.0, flip: float = 0.0, horizon: int = 25) -> None:
        check_choice("kind of preference", kind, KINDS)
        horizon = check_whole("horizon", horizon, 1, 100)
        temperature = check_number("temperature", temperature, 0.0, above=True)
        flip = check_number("flip", flip, 0.0, 0.5)
        feasible = FeasiblePreference()
        self.preference: Preference = {
            "max": ReturnPreference(0.0, flip),
            "noisy": ReturnPreference(temperature, flip),
            "nonmarkov": feasible,
            "cyclic": SectorPreference(),
        }[kind]
        self.parameters = Parameters(horizon, feasible.limit, int(feasible.share * horizon))
        self.state = State(place=(np.float64, (4,)), steps=np.int64, violation=np.float64)
        self.infos = Infos(x=np.float64, y=np.float64, sector=np.int64, feasible=np.bool_)
        self.limits = {"steps": (0, horizon)}
        self.running_limits = {"steps": (0, horizon - 1)}
        self.observation_space = spaces.Box(-EDGE, EDGE, (5,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.kernels = Kernels(reset, step, observe)

    def describe(self, state: State) -> str:
        """Tell place and time."""
        x, y = state.place[:2]
        return f"step {int(state.steps)} of {self.parameters.horizon}: ({x:.2f}, {y:.2f})"


class _HasPreference:
    """Attributes of the single and vector environment."""

    definition: PrefPoint

    @property
    def preference(self) -> Preference:
        """Preference function between paths."""
        return self.definition.preference


class PrefPointEnv(_HasPreference, KernelEnv):
    """Single environment of `PrefPoint`."""

    definition_class = PrefPoint


class PrefPointVectorEnv(_HasPreference, KernelVectorEnv):
    """Vector environment of `PrefPoint`."""

    definition_class = PrefPoint
