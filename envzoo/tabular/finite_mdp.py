"""A finite Markov decision process as immutable arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError

TOLERANCE = 1e-9  # by which probabilities may miss their sum


@dataclass(frozen=True, eq=False)
class FiniteMDP:
    """A discounted Markov decision process with S states and A actions.

    The arrays are private copies and cannot be written to.

    Attributes:
        p: (S, A, S) probabilities of the next state. What a row lacks to 1 is the probability that the episode
            terminates.
        r: (S, A) expected rewards; -inf marks an action that is not available. Every state has an available action.
        gamma: Discount in [0, 1].
        initial: (S,) probabilities of the first state; given as an integer it is the first state itself.

    Raises:
        EnvzooError: Arrays that do not fit together, that are no probabilities, or numbers out of range.
    """

    p: np.ndarray
    r: np.ndarray
    gamma: float = 1.0
    initial: np.ndarray | int = 0

    def __post_init__(self) -> None:
        p, r = _numbers("p", self.p), _numbers("r", self.r)
        if r.ndim != 2 or 0 in r.shape or p.shape != (*r.shape, r.shape[0]):
            raise EnvzooError(
                f"p and r have the shapes {p.shape} and {r.shape}, expected (S, A, S) and (S, A), none of them 0"
            )
        if not np.isfinite(p).all() or not (p >= 0).all() or not (p.sum(axis=-1) <= 1 + TOLERANCE).all():
            raise EnvzooError("p is not usable; expected probabilities whose sum over next states is at most 1")
        if np.isnan(r).any() or (r == np.inf).any():
            raise EnvzooError("r holds NaN or infinite rewards; expected finite ones, or -inf for unavailable actions")
        blocked = np.isneginf(r).all(axis=1)
        if blocked.any():
            raise EnvzooError(f"state {int(np.flatnonzero(blocked)[0])} has no available action; expected at least one")
        gamma = self.gamma
        number = isinstance(gamma, int | float | np.number) and not isinstance(gamma, bool)
        if not number or not 0 <= gamma <= 1:
            raise EnvzooError(f"gamma lies in [0, 1], got {gamma!r}")
        values = {"p": p, "r": r, "gamma": float(gamma), "initial": initial_law(self.initial, len(r))}
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def num_states(self) -> int:
        """Number of states, S."""
        return self.r.shape[0]

    @property
    def num_actions(self) -> int:
        """Number of actions, A."""
        return self.r.shape[1]

    @property
    def available(self) -> np.ndarray:
        """Which actions are available, bool (S, A)."""
        return ~np.isneginf(self.r)


def initial_law(initial: Any, states: int) -> np.ndarray:
    """Return the law of the first state as an array (S,), from the array or from one state.

    Raises:
        EnvzooError: It is neither a state nor S probabilities that sum to 1.
    """
    given = np.asarray(initial)
    if given.shape == () and given.dtype.kind in "iu":
        if not 0 <= given < states:
            raise EnvzooError(f"initial is state {given}; expected 0 to {states - 1}")
        return np.eye(states)[int(given)]
    law = _numbers("initial", initial)
    if law.shape != (states,) or not (law >= 0).all() or not abs(law.sum() - 1) <= TOLERANCE:
        raise EnvzooError(f"initial is not usable; expected a state or {states} probabilities that sum to 1")
    return law


def _numbers(name: str, values: Any) -> np.ndarray:
    """Return `values` as a private float64 array; raises EnvzooError for what is none."""
    try:
        return np.array(values, np.float64, order="C")
    except (TypeError, ValueError):
        raise EnvzooError(f"{name} is not usable; expected an array of numbers") from None
