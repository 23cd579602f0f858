"""A latent Markov decision process: each episode is played in one of M processes, which is told at its end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular.arrays import check_laws, freeze, read_horizon, read_numbers
from envzoo.tabular.finite_mdp import FiniteMDP


@dataclass(frozen=True, eq=False)
class LatentMDP:
    """M processes with the same S states and A actions; a hidden context decides in which an episode is played.

    The arrays are private copies and cannot be written to.

    Attributes:
        p: (M, S, A, S) probabilities of the next state, with sum 1.
        r: (M, S, A) deterministic rewards; given as (S, A) they are the same in all contexts.
        horizon: Number of steps of an episode.
        weights: (M,) probabilities of the contexts; None for equal ones.
        initial: (M, S) laws of the first state, (S,) for the same law in all contexts, or one state.

    Raises:
        EnvzooError: Arrays that do not fit together, or a row that is no law.
    """

    p: np.ndarray
    r: np.ndarray
    horizon: int
    weights: np.ndarray | None = None
    initial: np.ndarray | int = 0

    def __post_init__(self) -> None:
        p, r = read_numbers("p", self.p), read_numbers("r", self.r, finite=True)
        if p.ndim != 4 or 0 in p.shape or p.shape[1] != p.shape[3]:
            raise EnvzooError(f"p has the shape {p.shape}; expected (M, S, A, S), none of them 0")
        if r.shape not in (p.shape[:3], p.shape[1:3]):
            raise EnvzooError(f"r has the shape {r.shape}; expected {p.shape[:3]} or {p.shape[1:3]}")
        contexts, states = p.shape[:2]
        weights = np.full(contexts, 1 / contexts) if self.weights is None else read_numbers("weights", self.weights)
        if weights.shape != (contexts,):
            raise EnvzooError(f"weights have the shape {weights.shape}; expected ({contexts},)")
        horizon = read_horizon(self.horizon)
        if horizon is None:
            raise EnvzooError("a latent process needs a horizon, a number of steps of at least 1")
        freeze(
            self,
            p=check_laws("p", p),
            r=np.ascontiguousarray(np.broadcast_to(r, p.shape[:3])),
            horizon=horizon,
            weights=check_laws("weights", weights),
            initial=self._read_initial(contexts, states),
        )

    def _read_initial(self, contexts: int, states: int) -> np.ndarray:
        if isinstance(self.initial, int | np.integer) and not isinstance(self.initial, bool):
            if not 0 <= self.initial < states:
                raise EnvzooError(f"initial is state {self.initial}; expected 0 to {states - 1}")
            return np.tile(np.eye(states)[int(self.initial)], (contexts, 1))
        law = read_numbers("initial", self.initial)
        if law.shape not in ((states,), (contexts, states)):
            raise EnvzooError(f"initial has the shape {law.shape}; expected ({contexts}, {states}) or ({states},)")
        return check_laws("initial", np.ascontiguousarray(np.broadcast_to(law, (contexts, states))))

    @property
    def num_contexts(self) -> int:
        """Number of contexts, M."""
        return self.p.shape[0]

    @property
    def num_states(self) -> int:
        """Number of states, S."""
        return self.p.shape[1]

    @property
    def num_actions(self) -> int:
        """Number of actions, A."""
        return self.p.shape[2]

    def joint_mdp(self) -> FiniteMDP:
        """Return the process over pairs (context, state), numbered context * S + state, in which nothing is hidden."""
        contexts, states, actions = self.r.shape
        size = contexts * states
        p, r = np.zeros((size, actions, size)), self.r.reshape(size, actions)
        for m in range(contexts):
            rows = slice(m * states, (m + 1) * states)
            p[rows, :, rows] = self.p[m]
        law = (self.weights[:, None] * self.initial).ravel()
        return FiniteMDP.from_tables(p, r, initial=law, horizon=self.horizon)
