"""Base of bandits with memory: kernels for the states of the arms, spaces, start states and rendering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.bandits.model import BanditModel, state_of_column
from envzoo.errors import EnvzooError, unknown
from envzoo.kernel import Definition, Kernels
from envzoo.kernel import drawing as art
from envzoo.kernel.spaces import LimitedMultiBinary
from envzoo.kernel.stream import uniform

REWARDS = ("bernoulli", "deterministic")
FRESH = "fresh"
MOST_STATES = np.iinfo(np.int16).max  # columns are stored as int16

HEIGHT, GAUGE_TOP, GAUGE_BOTTOM = 220, 34, 176
MARGIN, WIDEST = 16, 44


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    payoffs: np.ndarray  # float64 (arms, states)
    after_rest: np.ndarray  # int16 (states,): next column of an arm that rests
    after_pull: np.ndarray  # int16 (states,): next column of an arm that is pulled
    bernoulli: bool


class State(NamedTuple):
    """State of one episode."""

    columns: Any  # int16 (arms,), column of the state of every arm
    expected_return: Any  # sum of the expected rewards so far


class Infos(NamedTuple):
    """Entries of `info`."""

    expected_reward: Any
    expected_return: Any


class SeveralInfos(NamedTuple):
    """Entries of `info` if several arms may be pulled in a round."""

    expected_reward: Any
    expected_return: Any
    arm_rewards: Any  # (arms,)


class Start(NamedTuple):
    """Options of `reset`."""

    columns: np.ndarray  # int16 (num_envs, arms)


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.columns[i] = options.columns[i]
            state.expected_return[i] = 0.0
            infos.expected_reward[i] = 0.0
            infos.expected_return[i] = 0.0


@njit(cache=True)
def reset_several(parameters, state, streams, where, options, infos):
    """Reset kernel for several pulls per round; see `envzoo.kernel.Kernels`."""
    reset(parameters, state, streams, where, options, infos)
    for i in range(where.size):
        if where[i]:
            infos.arm_rewards[i] = 0.0


@njit(cache=True)
def step_one(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel for actions that select one arm, or none; see `envzoo.kernel.Kernels`."""
    payoffs, after_rest, columns = parameters.payoffs, parameters.after_rest, state.columns
    arms = payoffs.shape[0]
    for i in range(where.size):
        if where[i]:
            arm = actions[i]
            pulled = arm < arms
            before = columns[i, arm] if pulled else 0
            for j in range(arms):
                columns[i, j] = after_rest[columns[i, j]]
            mean = 0.0
            if pulled:
                columns[i, arm] = parameters.after_pull[before]
                mean = payoffs[arm, before]
                rewards[i] = mean
                if parameters.bernoulli:
                    rewards[i] = 1.0 if uniform(streams, i) < mean else 0.0
            state.expected_return[i] += mean
            infos.expected_reward[i] = mean
            infos.expected_return[i] = state.expected_return[i]


@njit(cache=True)
def step_several(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel for actions that mark the arms to pull; see `envzoo.kernel.Kernels`."""
    payoffs, columns = parameters.payoffs, state.columns
    for i in range(where.size):
        if where[i]:
            total = 0.0
            for j in range(payoffs.shape[0]):
                column, reward = columns[i, j], 0.0
                if actions[i, j]:
                    reward = payoffs[j, column]
                    total += reward
                    if parameters.bernoulli:
                        reward = 1.0 if uniform(streams, i) < reward else 0.0
                    columns[i, j] = parameters.after_pull[column]
                else:
                    columns[i, j] = parameters.after_rest[column]
                infos.arm_rewards[i, j] = reward
                rewards[i] += reward
            state.expected_return[i] += total
            infos.expected_reward[i] = total
            infos.expected_return[i] = state.expected_return[i]


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the columns of the arms."""
    observation[:] = state.columns


class ArmsWithMemory(Definition):
    """Base class of bandits with memory; subclasses differ in the source of their payoff table.

    Attributes:
        model: The bandit's model.
    """

    option_names = ("start",)

    def _set_up(self, model: BanditModel, rewards: str, start: Any) -> None:
        """Set all attributes from the model; called last in the `__init__` of subclasses."""
        if rewards not in REWARDS:
            raise unknown("kind of rewards", rewards, REWARDS)
        if rewards == "bernoulli" and model.payoffs.max() > 1.0:
            arm, column = np.argwhere(model.payoffs > 1.0)[0]
            raise EnvzooError(
                f"the payoff of arm {arm} in state {state_of_column(column, model.satiation)} is "
                f"{model.payoffs[arm, column]:g}, which is not a probability; expected at most 1, or "
                "rewards='deterministic'"
            )
        if model.num_states > MOST_STATES:
            raise EnvzooError(f"the table has {model.num_states} states; expected at most {MOST_STATES}")
        self.model = model
        rest, pull = model.transitions().astype(np.int16)
        self.parameters = Parameters(model.payoffs, rest, pull, rewards == "bernoulli")
        self.state = State(columns=(np.int16, (model.arms,)), expected_return=np.float64)
        self.limits = {"columns": (0, model.num_states - 1)}
        self.observation_space = spaces.MultiDiscrete([model.num_states] * model.arms, dtype=np.int32)
        expected = {"expected_reward": np.float64, "expected_return": np.float64}
        if model.pulls_per_round == 1:
            self.action_space = spaces.Discrete(model.arms + 1)
            self.infos = Infos(**expected)
            self.kernels = Kernels(reset, step_one, observe)
        else:
            self.action_space = (
                spaces.MultiBinary(model.arms)
                if model.pulls_per_round == model.arms
                else LimitedMultiBinary(model.arms, model.pulls_per_round)
            )
            self.infos = SeveralInfos(**expected, arm_rewards=(np.float64, (model.arms,)))
            self.kernels = Kernels(reset_several, step_several, observe)
        self._start = self._read_start(start)

    def _read_start(self, start: Any) -> np.ndarray:
        """Convert start states to columns, (arms,) or (num_envs, arms); raises EnvzooError for invalid states."""
        model = self.model
        if isinstance(start, str):
            if start != FRESH:
                raise unknown("start", start, [FRESH])
            return np.full(model.arms, model.num_states - 1)
        try:
            given = np.asarray(start)
        except ValueError:  # rows of different lengths
            given = np.empty(0)
        fits = given.shape in ((), (model.arms,)) or (given.ndim == 2 and given.shape[1] == model.arms)
        if not fits or given.dtype.kind not in "iu" or not np.isin(given, model.states).all():
            raise EnvzooError(
                f"start is {start!r}; expected {FRESH!r}, or states from {-model.satiation} to {model.deprivation} "
                f"except 0: one for all arms, or one for each of the {model.arms}"
            )
        return np.broadcast_to(model.column(given), (*given.shape[:-1], model.arms))

    def options(self, given: Mapping[str, Any], num_envs: int) -> Start:
        """Read the start states of every episode; see `Definition.options`."""
        columns = self._read_start(given["start"]) if "start" in given else self._start
        if columns.ndim == 2 and len(columns) != num_envs:
            raise EnvzooError(f"start has {len(columns)} rows; expected one for each of {num_envs} episodes")
        return Start(np.ascontiguousarray(np.broadcast_to(columns, (num_envs, self.model.arms)), np.int16))

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """Draw the arms as gauges: full if fresh, low if satiated, states below zero under the line.

        Gauges of arms pulled in the last round are orange. The number above a gauge is the expected payoff of a pull,
        the number below it the state.
        """
        model = self.model
        slot = min(WIDEST, max(3, 1200 // model.arms))
        width = 2 * MARGIN + slot * model.arms
        width = max(width + width % 2, 240)
        canvas = art.Canvas(width, HEIGHT)
        top, bottom = GAUGE_TOP, GAUGE_BOTTOM
        cell = (bottom - top) / model.num_states
        zero = bottom - cell * model.satiation
        words = slot >= 34
        largest = model.payoffs.max() or 1.0
        for arm, column in enumerate(state.columns.tolist()):
            x, payoff = MARGIN + slot * arm, model.payoffs[arm, column]
            left, right = x + slot * 0.22, x + slot * 0.78
            pulled = column < model.satiation
            canvas.rectangle(left, top, right, bottom, art.GRID)
            canvas.rectangle(left, bottom - cell * (column + 1), right, bottom, art.ORANGE if pulled else art.MID_BLUE)
            # The rim shows the payoff relative to the largest in the table.
            canvas.rectangle(left, bottom + 3, left + (right - left) * payoff / largest, bottom + 7, art.GREEN)
            if words:
                canvas.text(x + slot / 2, top - 12, f"{payoff:.2f}", art.INK, 11)
                canvas.text(x + slot / 2, bottom + 18, f"{state_of_column(column, model.satiation):+d}", art.INK, 11)
        canvas.rectangle(MARGIN - 6, zero - 0.5, MARGIN + slot * model.arms + 6, zero + 0.5, art.INK)
        canvas.text(MARGIN, HEIGHT - 12, f"expected so far {state.expected_return:.2f}", art.MUTED, 11, "lm")
        return canvas.image()

    def describe(self, state: State) -> str:
        """Describe each arm on one line: its gauge, its state, and the expected payoff of a pull."""
        model = self.model
        lines = []
        for arm, column in enumerate(state.columns.tolist()):
            filled = "#" * (column + 1) + "." * (model.num_states - column - 1)
            gauge = f"{filled[: model.satiation]}|{filled[model.satiation :]}"
            value = int(state_of_column(column, model.satiation))
            lines.append(f"arm {arm:>2} [{gauge}] state {value:+d} pays {model.payoffs[arm, column]:.3f}")
        return "\n".join([*lines, f"expected so far {float(state.expected_return):.3f}"])
