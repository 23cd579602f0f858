"""Follow the regularised leader over actions: log-barrier and entropy solvers, and Exp3 for many bandits at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError


@njit(cache=True)
def log_barrier_row(losses, eta, out):
    """Write the solution p (A,) of min <p, eta losses> + sum ln(1 / p) over the simplex into out.

    p_a = 1 / (eta (X_a - min X) + lambda), with lambda in [1, A] such that they sum to 1. The sum is convex and
    decreasing in lambda, so that Newton's method from 1, where it is at least 1, approaches the root from one side.
    """
    actions = losses.size
    least = losses.min()
    multiplier = 1.0
    for _ in range(100):
        total, slope = -1.0, 0.0
        for a in range(actions):
            p = 1.0 / (eta * (losses[a] - least) + multiplier)
            total += p
            slope += p * p
        step = total / slope
        multiplier += step
        if step <= 4e-16 * multiplier:
            break
    total = 0.0
    for a in range(actions):
        out[a] = 1.0 / (eta * (losses[a] - least) + multiplier)
        total += out[a]
    for a in range(actions):
        out[a] /= total


@njit(cache=True)
def entropy_row(losses, eta, out):
    """Write exponential weights exp(-eta losses), normalised, (A,), into out."""
    least, total = losses.min(), 0.0
    for a in range(losses.size):
        out[a] = np.exp(-eta * (losses[a] - least))
        total += out[a]
    for a in range(losses.size):
        out[a] /= total


@njit(cache=True)
def _solve_rows(losses, eta, barrier, out):
    for row in range(losses.shape[0]):
        if barrier:
            log_barrier_row(losses[row], eta, out[row])
        else:
            entropy_row(losses[row], eta, out[row])


def _solve(losses: Any, eta: float, barrier: bool) -> np.ndarray:
    given = np.ascontiguousarray(losses, np.float64)
    if given.ndim < 1 or not given.shape[-1] or not np.isfinite(given).all():
        raise EnvzooError(f"losses have the shape {given.shape}; expected finite numbers (..., A)")
    if not (eta > 0 and np.isfinite(eta)):
        raise EnvzooError(f"eta is a positive number, got {eta}")
    flat = given.reshape(-1, given.shape[-1])
    out = np.empty(flat.shape)
    _solve_rows(flat, float(eta), barrier, out)
    return out.reshape(given.shape)


def log_barrier(losses: Any, eta: float) -> np.ndarray:
    """Solve FTRL with the log-barrier for any number of rows (..., A) of cumulative losses, of any sign and size."""
    return _solve(losses, eta, True)


def exponential_weights(losses: Any, eta: float) -> np.ndarray:
    """Solve FTRL with negative entropy (Hedge) for any number of rows (..., A) of cumulative losses."""
    return _solve(losses, eta, False)


class Exp3:
    """Exponential weights for exploration and exploitation, for n bandits side by side (Auer et al., 2002).

        p = exp(-eta X) / sum,  X_a <- X_a + loss 1[a chosen] / (p_a + gamma)

    gamma above 0 is implicit exploration (Exp3-IX; Neu, 2015), which bounds the estimates; with gamma 0 `mix` adds
    uniform exploration to the policy instead.

    Args:
        bandits: Number of bandits, n.
        actions: Number of actions, A.
        eta: Step size.
        gamma: Implicit exploration.
        mix: Share of uniform exploration.
    """

    def __init__(self, bandits: int, actions: int, eta: float, *, gamma: float = 0.0, mix: float = 0.0):
        if bandits < 1 or actions < 1:
            raise EnvzooError(f"there are {bandits} bandits of {actions} actions; expected at least one of each")
        if not (eta > 0 and gamma >= 0 and 0 <= mix <= 1):
            raise EnvzooError(f"eta, gamma and mix are {eta}, {gamma} and {mix}; expected > 0, >= 0 and in [0, 1]")
        self.eta, self.gamma, self.mix = float(eta), float(gamma), float(mix)
        self.losses = np.zeros((bandits, actions))

    def policy(self, rows: Any = slice(None)) -> np.ndarray:
        """Compute the probabilities (n, A) of the bandits in `rows`."""
        p = exponential_weights(self.losses[rows], self.eta)
        return (1 - self.mix) * p + self.mix / p.shape[-1]

    def update(self, chosen: np.ndarray, losses: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Learn the losses (m,) of the actions chosen (m,) by the bandits in `rows` (m,), None for all.

        Each bandit may occur once.
        """
        rows = np.arange(len(self.losses)) if rows is None else np.asarray(rows)
        p = self.policy(rows)[np.arange(len(rows)), chosen]
        self.losses[rows, chosen] += losses / (p + self.gamma)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the estimated cumulative losses."""
        return {"losses": self.losses.copy()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over the estimated losses; raises ValueError if they do not fit."""
        given = np.asarray(state["losses"])
        if given.shape != self.losses.shape or given.dtype != np.float64:
            raise ValueError(f"losses is {given.dtype} of shape {given.shape}")
        self.losses[:] = given
