"""Finite Markov decision processes as arrays: checked on entry, taken out of Gymnasium's tables, evaluated exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from envzoo import tabular
from envzoo.errors import EnvzooError
from envzoo.tabular.finite_mdp import TOLERANCE


class World(NamedTuple):
    """A finite decision process as the step kernels read it: lists of successors in place of a dense table."""

    successors: np.ndarray  # int64 (S, A, K)
    cumulative: np.ndarray  # float64 (S, A, K), running sums of their probabilities, 1 from the last one on
    rewards: np.ndarray  # float64 (S, A, K)
    terminal: np.ndarray  # bool (S,)
    available: np.ndarray  # bool (S, A)
    starts: np.ndarray  # int64 (m,)
    start_cumulative: np.ndarray  # float64 (m,)
    discount: float


@dataclass(frozen=True, eq=False)
class FiniteMDP:
    """A Markov decision process with S states and A actions.

    Entering a terminal state ends the episode. The return of an episode counts the reward of the move of time t (from
    0) with discount^(t + 1): rewards belong to the states that are entered, as in the released code of arXiv
    2410.21666, and the start counts nothing.

    Attributes:
        transition: (S, A, S) probabilities of the next state. The rows of terminal states are never used and may be
            zero.
        reward: (S, A, S) rewards of moves; given as (S,) it is the reward of the state that is entered, as (S, A) that
            of the action.
        terminal: (S,) bool; None for no terminal state.
        start: (S,) probabilities of the first state, or one state.
        discount: In (0, 1].
        available: (S, A) bool, the actions that a player of the game should take; None for all. The others have rows
            too (the games do not refuse them), but no carrier policy takes them.

    Raises:
        EnvzooError: Arrays that do not fit together or are no probabilities.
    """

    transition: np.ndarray
    reward: np.ndarray
    terminal: np.ndarray | None = None
    start: np.ndarray | int = 0
    discount: float = 0.95
    available: np.ndarray | None = None

    def __post_init__(self) -> None:
        transition = _numbers("transition", self.transition)
        if transition.ndim != 3 or transition.shape[0] != transition.shape[2] or 0 in transition.shape:
            raise EnvzooError(
                f"transition has the shape {transition.shape}; expected (states, actions, states), none of them 0"
            )
        states, actions, _ = transition.shape
        terminal = _flags("terminal", self.terminal, (states,), False)
        available = _flags("available", self.available, (states, actions), True)
        going = ~terminal
        if not (transition >= 0).all():
            raise EnvzooError("transition has negative entries; expected probabilities")
        wrong = np.argwhere(np.abs(transition.sum(axis=-1) - 1) * going[:, None] > TOLERANCE)
        if len(wrong):
            state, action = wrong[0].tolist()
            raise EnvzooError(
                f"the probabilities of state {state} and action {action} sum to {transition[state, action].sum():g}; "
                "expected 1"
            )
        if not available[going].any(axis=1).all():
            state = int(np.flatnonzero(going & ~available.any(axis=1))[0])
            raise EnvzooError(f"state {state} has no available action; expected at least one")
        start = self._start(states)
        if start[terminal].any():
            raise EnvzooError("start gives probability to a terminal state; expected episodes of at least one move")
        discount = self.discount
        if isinstance(discount, bool) or not isinstance(discount, int | float | np.number) or not 0 < discount <= 1:
            raise EnvzooError(f"discount is {discount!r}; expected a number above 0 and at most 1")
        for name, value in (
            ("transition", transition),
            ("reward", self._reward(states, actions)),
            ("terminal", terminal),
            ("start", start),
            ("discount", float(discount)),
            ("available", available),
        ):
            object.__setattr__(self, name, value)

    def _start(self, states: int) -> np.ndarray:
        start = np.asarray(self.start)
        if start.shape == () and start.dtype.kind in "iu":
            if not 0 <= start < states:
                raise EnvzooError(f"start is state {start}; expected 0 to {states - 1}")
            return np.eye(states)[int(start)]
        start = _numbers("start", start)
        if start.shape != (states,) or not (start >= 0).all() or abs(start.sum() - 1) > TOLERANCE:
            raise EnvzooError(f"start is not usable; expected a state or {states} probabilities that sum to 1")
        return start

    def _reward(self, states: int, actions: int) -> np.ndarray:
        reward = _numbers("reward", self.reward)
        if reward.shape == (states, actions):
            reward = reward[:, :, None]
        elif reward.shape not in ((states,), (states, actions, states)):
            raise EnvzooError(
                f"reward has the shape {reward.shape}; expected {(states,)} for the states that are entered, "
                f"{(states, actions)}, or {(states, actions, states)}"
            )
        return np.broadcast_to(reward, (states, actions, states))

    # -------------------------------------------------------------- looking at

    @property
    def num_states(self) -> int:
        """Number of states, S."""
        return self.transition.shape[0]

    @property
    def num_actions(self) -> int:
        """Number of actions, A."""
        return self.transition.shape[1]

    @property
    def expected_reward(self) -> np.ndarray:
        """(S, A) expected rewards of actions, 0 in terminal states."""
        return np.einsum("sat,sat->sa", self.transition, self.reward) * ~self.terminal[:, None]

    @property
    def continuing(self) -> np.ndarray:
        """(S, A, S) probabilities of the next state without the moves that end the episode; rows may lack mass."""
        return self.transition * ~self.terminal[:, None, None] * ~self.terminal[None, None, :]

    def tabular(self) -> tabular.FiniteMDP:
        """Return the process in the general form, in which a reward belongs to the choice of an action.

        A reward counts here when a state is entered, one step after the choice that led there, so it is discounted
        once. Moves into terminal states are the missing probability; actions that are not available have -inf.
        """
        rewards = np.where(self.available | self.terminal[:, None], self.discount * self.expected_reward, -np.inf)
        return tabular.FiniteMDP(self.continuing, rewards, self.discount, self.start)

    def policy_return(self, policy: np.ndarray, horizon: int) -> float:
        """Compute the exact return of a policy (S, A): sum over t < horizon of discount^(t + 1) E[reward of move t]."""
        policy = _numbers("policy", policy)
        if policy.shape != (self.num_states, self.num_actions):
            raise EnvzooError(f"policy has the shape {policy.shape}; expected {(self.num_states, self.num_actions)}")
        rewards = (policy * self.expected_reward).sum(axis=1)
        moves = np.einsum("sa,sat->st", policy, self.continuing)
        where, factor, total = self.start, 1.0, 0.0
        for _ in range(horizon):
            factor *= self.discount
            total += factor * float(where @ rewards)
            where = where @ moves
        return total

    def world(self) -> World:
        """Return the process as the kernels read it."""
        # A terminal state is never left; its rows only have to be there.
        table = np.where(self.terminal[:, None, None], np.eye(self.num_states)[:, None, :], self.transition)
        most = int((table > 0).sum(axis=-1).max())
        # The successors with probability first, in the order of their numbers.
        successors = np.argsort(table <= 0, axis=-1, kind="stable")[..., :most]
        probabilities = np.take_along_axis(table, successors, axis=-1)
        cumulative = np.cumsum(probabilities, axis=-1)
        last = (probabilities > 0).sum(axis=-1, keepdims=True) - 1
        cumulative[np.arange(most) >= last] = 1.0
        starts = np.flatnonzero(self.start)
        start_cumulative = np.cumsum(self.start[starts])
        start_cumulative[-1] = 1.0
        return World(
            np.ascontiguousarray(successors, np.int64),
            cumulative,
            np.ascontiguousarray(np.take_along_axis(self.reward, successors, axis=-1)),
            self.terminal,
            self.available,
            starts.astype(np.int64),
            start_cumulative,
            self.discount,
        )


def from_gymnasium(env: gym.Env | str, discount: float = 0.95, **kwargs: Any) -> FiniteMDP:
    """Read the decision process of a Gymnasium environment with a table `P` (FrozenLake, Taxi, CliffWalking).

    A state is terminal when a move that ends the episode leads there. Time limits are not part of the process.

    Args:
        env: The environment or its id.
        discount: Gymnasium's environments have none.
        **kwargs: Keywords for `gymnasium.make`, when `env` is an id.

    Raises:
        EnvzooError: The environment keeps no such table, or enters one state both with and without ending.
    """
    made = gym.make(env, **kwargs) if isinstance(env, str) else env
    table = getattr(made.unwrapped, "P", None)
    start = getattr(made.unwrapped, "initial_state_distrib", None)
    if not isinstance(table, dict) or start is None:
        raise EnvzooError(
            f"{made.unwrapped.__class__.__name__} has no table of transitions; expected an environment with the "
            "attributes P and initial_state_distrib, such as FrozenLake, Taxi or CliffWalking"
        )
    states, actions = len(table), len(table[0])
    transition = np.zeros((states, actions, states))
    weighted, ending = np.zeros_like(transition), np.zeros_like(transition)
    for state, by_action in table.items():
        for action, moves in by_action.items():
            for probability, successor, reward, ends in moves:
                transition[state, action, successor] += probability
                weighted[state, action, successor] += probability * reward
                ending[state, action, successor] += probability * ends
    if isinstance(env, str):
        made.close()
    reached = _reached(transition - ending, start)
    terminal = (ending[reached] > 0).any(axis=(0, 1))
    if ((transition - ending)[reached & ~terminal][..., terminal] > TOLERANCE).any():
        raise EnvzooError("a state is entered both by moves that end the episode and by others; expected one of them")
    reward = np.divide(weighted, transition, out=np.zeros_like(weighted), where=transition > 0)
    return FiniteMDP(transition, reward, terminal, np.asarray(start), discount)


def _reached(transition: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the states that an episode can reach and continue from, bool (S,)."""
    reached = np.asarray(start) > 0
    follows = (transition > TOLERANCE).any(axis=1)
    while True:
        more = reached | follows[reached].any(axis=0)
        if (more == reached).all():
            return reached
        reached = more


def _numbers(name: str, values: Any) -> np.ndarray:
    """Return `values` as finite float64; raises EnvzooError otherwise."""
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError):
        raise EnvzooError(f"{name} is not usable; expected an array of numbers") from None
    if not np.isfinite(array).all():
        raise EnvzooError(f"{name} holds NaN or infinite numbers; expected finite ones")
    return array


def _flags(name: str, values: Any, shape: tuple[int, ...], default: bool) -> np.ndarray:
    """Return `values` as a bool array of a shape, all `default` for None; raises EnvzooError otherwise."""
    array = np.full(shape, default) if values is None else np.array(values)
    if array.dtype != np.bool_ or array.shape != shape:
        raise EnvzooError(f"{name} is {array.dtype} of shape {array.shape}; expected bool of shape {shape}")
    return array
