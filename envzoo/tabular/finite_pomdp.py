"""A finite partially observable Markov decision process as immutable arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular.arrays import check_laws, freeze, read_horizon, read_law, read_numbers


@dataclass(frozen=True, eq=False)
class FinitePOMDP:
    """A partially observable process with S latent states, A actions and O observations.

    Every state, the first included, shows an observation on arrival; the reward depends on what is shown and done. The
    arrays are private copies and cannot be written to.

    Attributes:
        p: (S, A, S) probabilities of the next state, with sum 1.
        emission: (S, O) probabilities of the observation that a state shows.
        reward: (O,) rewards for observations, paid when they are shown after a step.
        initial: Law of the first state, or the state itself.
        terminal: (S,) bool, states whose entry terminates the episode; None for none.
        horizon: Number of steps after which an episode ends, None for no such end.
        gamma: Discount in [0, 1].

    Raises:
        EnvzooError: Arrays that do not fit together, or a row that is no law.
    """

    p: np.ndarray
    emission: np.ndarray
    reward: np.ndarray
    initial: np.ndarray | int = 0
    terminal: np.ndarray | None = None
    horizon: int | None = None
    gamma: float = 1.0

    def __post_init__(self) -> None:
        p, emission = read_numbers("p", self.p), read_numbers("emission", self.emission)
        if p.ndim != 3 or 0 in p.shape or p.shape[0] != p.shape[2]:
            raise EnvzooError(f"p has the shape {p.shape}; expected (S, A, S), none of them 0")
        if emission.ndim != 2 or len(emission) != len(p) or not emission.shape[1]:
            raise EnvzooError(f"emission has the shape {emission.shape}; expected ({len(p)}, O)")
        reward = read_numbers("reward", self.reward, finite=True)
        if reward.shape != emission.shape[1:]:
            raise EnvzooError(f"reward has the shape {reward.shape}; expected {emission.shape[1:]}")
        terminal = np.zeros(len(p), np.bool_) if self.terminal is None else np.array(self.terminal)
        if terminal.dtype != np.bool_ or terminal.shape != (len(p),):
            raise EnvzooError(f"terminal is {terminal.dtype} of shape {terminal.shape}; expected bool of ({len(p)},)")
        initial = read_law("initial", self.initial, len(p))
        if initial[terminal].any():
            raise EnvzooError("initial gives probability to a terminal state; expected episodes of at least one step")
        gamma = self.gamma
        number = isinstance(gamma, int | float | np.number) and not isinstance(gamma, bool)
        if not number or not 0 <= gamma <= 1:
            raise EnvzooError(f"gamma lies in [0, 1], got {gamma!r}")
        freeze(
            self,
            p=check_laws("p", p),
            emission=check_laws("emission", emission),
            reward=reward,
            initial=initial,
            terminal=terminal,
            horizon=read_horizon(self.horizon),
            gamma=float(gamma),
        )

    @property
    def num_states(self) -> int:
        """Number of latent states, S."""
        return self.p.shape[0]

    @property
    def num_actions(self) -> int:
        """Number of actions, A."""
        return self.p.shape[1]

    @property
    def num_observations(self) -> int:
        """Number of observations, O."""
        return self.emission.shape[1]
