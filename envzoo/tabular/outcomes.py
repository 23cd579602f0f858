"""Outcomes of actions as lists: the joint law of next state, reward and end, also for worlds too large for tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular.arrays import check_laws, freeze, read_numbers


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The K possible outcomes of each action in each state; rows with fewer have outcomes of probability 0.

    The arrays are private copies and cannot be written to.

    Attributes:
        next_state: (S, A, K) int64, the state that is entered.
        probability: (S, A, K) probabilities, with sum 1 over K.
        reward: (S, A, K) finite rewards; a number or an array (S, A, 1) is repeated.
        ends: (S, A, K) bool, whether the episode terminates; None for never.

    Raises:
        EnvzooError: Arrays that do not fit together, or a row that is no law.
    """

    next_state: np.ndarray
    probability: np.ndarray
    reward: np.ndarray | float = 0.0
    ends: np.ndarray | None = None

    def __post_init__(self) -> None:
        probability = read_numbers("probability", self.probability)
        shape = probability.shape
        if probability.ndim != 3 or 0 in shape:
            raise EnvzooError(f"probability has the shape {shape}; expected (S, A, K), none of them 0")
        following = np.array(self.next_state)
        if following.shape != shape or following.dtype.kind not in "iu":
            raise EnvzooError(
                f"next_state is {following.dtype} of shape {following.shape}; expected whole numbers of shape {shape}"
            )
        if not ((following >= 0) & (following < shape[0])).all():
            raise EnvzooError(f"next_state holds states out of range; expected 0 to {shape[0] - 1}")
        ends = np.zeros(shape, np.bool_) if self.ends is None else np.array(self.ends)
        if ends.dtype != np.bool_ or ends.shape != shape:
            raise EnvzooError(f"ends is {ends.dtype} of shape {ends.shape}; expected bool of shape {shape}")
        freeze(
            self,
            next_state=following.astype(np.int64),
            probability=check_laws("probability", probability),
            reward=self._rewards(shape),
            ends=ends,
        )

    def _rewards(self, shape: tuple[int, ...]) -> np.ndarray:
        reward = read_numbers("reward", self.reward, finite=True)
        try:
            return np.ascontiguousarray(np.broadcast_to(reward, shape))
        except ValueError:
            raise EnvzooError(f"reward has the shape {reward.shape}; expected {shape}") from None

    @property
    def num_states(self) -> int:
        """Number of states, S."""
        return self.probability.shape[0]

    @property
    def num_actions(self) -> int:
        """Number of actions, A."""
        return self.probability.shape[1]

    def expected_reward(self) -> np.ndarray:
        """Compute the expected rewards, (S, A)."""
        return (self.probability * self.reward).sum(axis=-1)

    def continuing(self) -> np.ndarray:
        """Compute the dense table (S, A, S) of the probabilities to go on in a state; what a row lacks to 1 ends."""
        states, actions, _ = self.probability.shape
        table = np.zeros((states, actions, states))
        s, a, _ = np.indices(self.probability.shape)
        np.add.at(table, (s, a, self.next_state), np.where(self.ends, 0.0, self.probability))
        return table

    def law(self, state: int, action: int) -> dict[tuple[int, float, bool], float]:
        """Return the joint law of (next state, reward, terminated) after an action."""
        found: dict[tuple[int, float, bool], float] = {}
        rows = (self.next_state, self.reward, self.ends, self.probability)
        for following, reward, ends, p in zip(*(array[state, action].tolist() for array in rows), strict=True):
            if p > 0:
                found[following, reward, ends] = found.get((following, reward, ends), 0.0) + p
        return found


def list_outcomes(rows: Any, states: int, actions: int) -> Outcomes:
    """Make `Outcomes` from `rows[s][a]`, lists of (probability, next state, reward, terminated) as in Gymnasium.

    Equal outcomes of an action are merged.

    Raises:
        EnvzooError: A row is missing or no law.
    """
    merged: list[dict[tuple[int, float, bool], float]] = []
    for s in range(states):
        for a in range(actions):
            law: dict[tuple[int, float, bool], float] = {}
            for p, following, reward, ends in rows[s][a]:
                key = (int(following), float(reward), bool(ends))
                law[key] = law.get(key, 0.0) + float(p)
            merged.append({key: p for key, p in law.items() if p != 0})
    most = max(1, max(len(law) for law in merged))
    shape = (states * actions, most)
    following, ends = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    probability, reward = np.zeros(shape), np.zeros(shape)
    for row, law in enumerate(merged):
        for k, ((to, pays, end), p) in enumerate(law.items()):
            following[row, k], reward[row, k], ends[row, k], probability[row, k] = to, pays, end, p
    # Probabilities such as three times 1/3 may miss 1 in the last place only; anything more is refused by Outcomes.
    full = (states, actions, most)
    return Outcomes(following.reshape(full), probability.reshape(full), reward.reshape(full), ends.reshape(full))


def outcomes_of_tables(p: np.ndarray, reward: np.ndarray, ends: np.ndarray | None = None) -> Outcomes:
    """List the outcomes of dense tables: p (S, A, S) with sum 1, rewards and flags of moves, each (S, A, S)."""
    most = max(1, int((p > 0).sum(axis=-1).max()))
    # The successors with probability first, in the order of their numbers.
    following = np.argsort(p <= 0, axis=-1, kind="stable")[..., :most]

    def pick(table: np.ndarray) -> np.ndarray:
        return np.take_along_axis(np.broadcast_to(table, p.shape), following, axis=-1)

    return Outcomes(following, pick(p), pick(reward), None if ends is None else pick(ends))


def outcomes_of_model(p: np.ndarray, r: np.ndarray) -> Outcomes:
    """List the outcomes of a table (S, A, S) whose rows lack the probability to terminate, with rewards (S, A).

    A model does not say where an episode that ends comes to: the outcome stays in the state of the action. Rewards of
    -inf (actions that are not available) become 0.
    """
    states = p.shape[0]
    missing = np.maximum(0.0, 1.0 - p.sum(axis=-1))
    missing[missing <= 1e-9] = 0.0
    extra = np.concatenate([p, missing[..., None]], axis=-1)
    extra /= extra.sum(axis=-1, keepdims=True)
    most = max(1, int((extra > 0).sum(axis=-1).max()))
    columns = np.argsort(extra <= 0, axis=-1, kind="stable")[..., :most]
    ends = columns == states
    following = np.where(ends, np.arange(states)[:, None, None], columns)
    pays = np.where(np.isneginf(r), 0.0, r)[..., None]
    return Outcomes(following, np.take_along_axis(extra, columns, axis=-1), pays, ends)
