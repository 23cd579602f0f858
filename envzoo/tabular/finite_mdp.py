"""A finite Markov decision process as immutable arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular.arrays import TOLERANCE, check_laws, freeze, read_horizon, read_law, read_numbers
from envzoo.tabular.outcomes import Outcomes, outcomes_of_model, outcomes_of_tables

__all__ = ["TOLERANCE", "FiniteMDP", "initial_law"]

LINEAR = 1e-8  # largest residual of what counts as linear in the features


@dataclass(frozen=True, eq=False)
class FiniteMDP:
    """A Markov decision process with S states and A actions, discounted or of a finite horizon.

    The arrays are private copies and cannot be written to. `FiniteMDP(p, r)` is what planners need;
    `FiniteMDP.from_tables` and `from_outcomes` also keep the joint law of next state, reward and end, from which
    `TabularEnv` samples.

    Attributes:
        p: (S, A, S) probabilities of the next state. What a row lacks to 1 is the probability that the episode
            terminates.
        r: (S, A) expected rewards; -inf marks an action that is not available. Every state has an available action.
        gamma: Discount in [0, 1].
        initial: (S,) probabilities of the first state; given as an integer it is the first state itself.
        horizon: Number of steps after which an episode ends, None for no such end.
        features: (S, A, d) features of state-action pairs, or None.
        outcomes: The joint law that p and r are the marginals of; None where only p and r are known.

    Raises:
        EnvzooError: Arrays that do not fit together, that are no probabilities, or numbers out of range.
    """

    p: np.ndarray
    r: np.ndarray
    gamma: float = 1.0
    initial: np.ndarray | int = 0
    horizon: int | None = None
    features: np.ndarray | None = None
    outcomes: Outcomes | None = None

    def __post_init__(self) -> None:
        p, r = read_numbers("p", self.p), read_numbers("r", self.r)
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
        freeze(
            self,
            p=p,
            r=r,
            gamma=_discount(self.gamma),
            initial=initial_law(self.initial, len(r)),
            horizon=read_horizon(self.horizon),
            features=self._read_features(r.shape),
        )
        self._check_outcomes()

    def _read_features(self, shape: tuple[int, int]) -> np.ndarray | None:
        if self.features is None:
            return None
        features = read_numbers("features", self.features, finite=True)
        if features.shape[:2] != shape or features.ndim != 3 or not features.shape[2]:
            raise EnvzooError(f"features have the shape {features.shape}; expected ({shape[0]}, {shape[1]}, d)")
        return features

    def _check_outcomes(self) -> None:
        if self.outcomes is None:
            return
        if not isinstance(self.outcomes, Outcomes):
            raise EnvzooError(f"outcomes are Outcomes or None, got a {type(self.outcomes).__name__}")
        if self.outcomes.probability.shape[:2] != self.r.shape:
            raise EnvzooError(
                f"outcomes are of {self.outcomes.probability.shape[:2]} states and actions; expected {self.r.shape}"
            )
        expected, known = self.outcomes.expected_reward(), self.available
        scale = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        if np.abs(self.outcomes.continuing() - self.p).max() > TOLERANCE or (
            np.abs(np.where(known, self.r, 0.0) - np.where(known, expected, 0.0)).max() > scale
        ):
            raise EnvzooError("p and r are not the marginals of the outcomes; make the model with from_outcomes")

    @classmethod
    def from_outcomes(cls, outcomes: Outcomes, **more: Any) -> FiniteMDP:
        """Make the process whose actions have these outcomes; `more` are further attributes."""
        return cls(outcomes.continuing(), outcomes.expected_reward(), outcomes=outcomes, **more)

    @classmethod
    def from_tables(
        cls, p: Any, reward: Any, ends: Any = None, *, gamma: float = 1.0, initial: Any = 0, **more: Any
    ) -> FiniteMDP:
        """Make the process from tables in which every row is a whole law.

        Args:
            p: (S, A, S) probabilities of the next state, with sum 1.
            reward: (S, A, S) rewards of moves r(s, a, s'), or (S, A).
            ends: (S, A, S) bool, the moves with which an episode terminates; (S,) for the states that are terminal;
                None for none.
            gamma: Discount.
            initial: Law of the first state.
            **more: Further attributes.

        Raises:
            EnvzooError: A row is no law (the sentence names it), or the tables do not fit together.
        """
        table = read_numbers("p", p)
        if table.ndim != 3 or 0 in table.shape or table.shape[0] != table.shape[2]:
            raise EnvzooError(f"p has the shape {table.shape}; expected (S, A, S), none of them 0")
        check_laws("p", table)
        pays = read_numbers("reward", reward, finite=True)
        if pays.shape == table.shape[:2]:
            pays = pays[..., None]
        elif pays.shape != table.shape:
            raise EnvzooError(f"reward has the shape {pays.shape}; expected {table.shape} or {table.shape[:2]}")
        flags = np.zeros(table.shape[0], np.bool_) if ends is None else np.array(ends)
        if flags.dtype != np.bool_ or flags.shape not in (table.shape, table.shape[:1]):
            raise EnvzooError(
                f"ends is {flags.dtype} of shape {flags.shape}; expected bool of shape {table.shape} or "
                f"{table.shape[:1]}"
            )
        return cls.from_outcomes(outcomes_of_tables(table, pays, flags), gamma=gamma, initial=initial, **more)

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

    @cached_property
    def joint(self) -> Outcomes:
        """The outcomes; made of p and r where only those are known (an episode that ends then stays where it is)."""
        return self.outcomes if self.outcomes is not None else outcomes_of_model(self.p, self.r)

    def require_linear(self) -> np.ndarray:
        """Return the features, if rewards and transitions are linear in them: r = phi w and p(s'|.) = phi mu(s').

        Raises:
            EnvzooError: There are none, or a least-squares fit leaves a residual; the sentence names the largest.
        """
        if self.features is None:
            raise EnvzooError("the process has no features; expected features (S, A, d) in which it is linear")
        known = self.available.ravel()
        phi = self.features.reshape(-1, self.features.shape[2])[known]
        targets = np.concatenate([self.r.reshape(-1, 1), self.p.reshape(-1, self.num_states)], axis=1)[known]
        fitted = phi @ np.linalg.lstsq(phi, targets, rcond=None)[0]
        worst = float(np.abs(fitted - targets).max())
        if worst > LINEAR:
            raise EnvzooError(
                f"rewards and transitions are not linear in the features: the largest residual is {worst:.3g}, "
                f"expected at most {LINEAR:g}"
            )
        return self.features


def _discount(gamma: Any) -> float:
    number = isinstance(gamma, int | float | np.number) and not isinstance(gamma, bool)
    if not number or not 0 <= gamma <= 1:
        raise EnvzooError(f"gamma lies in [0, 1], got {gamma!r}")
    return float(gamma)


def initial_law(initial: Any, states: int) -> np.ndarray:
    """Return the law of the first state as an array (S,), from the array or from one state.

    Raises:
        EnvzooError: It is neither a state nor S probabilities that sum to 1.
    """
    return read_law("initial", initial, states)
