"""Backward induction over a finite horizon, batched over worlds, and best fixed policies in hindsight."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envzoo.agents.planners.tabular.optimum import TIE, tie_set
from envzoo.errors import EnvzooError


class Layers(NamedTuple):
    """Optimal values of every step.

    Attributes:
        v: (..., H + 1, S) values; the last row is 0.
        q: (..., H, S, A) action values.
        ties: (..., H, S, A) bool, the actions that attain the maximum.
    """

    v: np.ndarray
    q: np.ndarray
    ties: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """(..., H, S) the first optimal action."""
        return self.ties.argmax(axis=-1)


def backward_induction(
    p: np.ndarray,
    r: np.ndarray,
    horizon: int | None = None,
    *,
    alpha: float = 0.0,
    gamma: float = 1.0,
    tie_tolerance: float = TIE,
) -> Layers:
    """Solve finite-horizon processes exactly, any number of them at once.

    Args:
        p: (..., S, A, S) transition probabilities, or (..., H, S, A, S) with `horizon=None`, one table per step. Rows
            may sum to less than 1: the rest ends the episode.
        r: (..., S, A) expected rewards, or (..., H, S, A); -inf for actions that are not available.
        horizon: Number of steps; None takes it from the tables.
        alpha: Temperature; above 0 the values are alpha logsumexp(q / alpha).
        gamma: Discount.
        tie_tolerance: Difference of action values up to which actions tie.

    Raises:
        EnvzooError: Tables that do not fit together, or a horizon of 0.
    """
    p, r = np.asarray(p, np.float64), np.asarray(r, np.float64)
    if horizon is not None:
        if isinstance(horizon, bool) or not isinstance(horizon, int | np.integer) or horizon < 1:
            raise EnvzooError(f"horizon is {horizon!r}; expected a number of steps of at least 1")
        p, r = p[..., None, :, :, :], r[..., None, :, :]
    if p.ndim < 4 or r.ndim < 3 or p.shape[-3:-1] != r.shape[-2:] or p.shape[-1] != p.shape[-3]:
        raise EnvzooError(
            f"p and r have the shapes {p.shape} and {r.shape}, expected (..., H, S, A, S) and (..., H, S, A)"
        )
    if not (alpha >= 0 and np.isfinite(alpha)):
        raise EnvzooError(f"alpha is a finite number of at least 0, got {alpha}")
    steps = horizon or max(p.shape[-4], r.shape[-3])
    batch = np.broadcast_shapes(p.shape[:-4], r.shape[:-3])
    states, actions = r.shape[-2:]
    v, q = np.zeros((*batch, steps + 1, states)), np.empty((*batch, steps, states, actions))
    for t in reversed(range(steps)):
        moves, pays = p[..., min(t, p.shape[-4] - 1), :, :, :], r[..., min(t, r.shape[-3] - 1), :, :]
        q[..., t, :, :] = pays + gamma * np.einsum("...sat,...t->...sa", moves, v[..., t + 1, :])
        top = q[..., t, :, :].max(axis=-1)
        if alpha > 0:
            top = top + alpha * np.log(np.exp((q[..., t, :, :] - top[..., None]) / alpha).sum(axis=-1))
        v[..., t, :] = top
    return Layers(v, q, tie_set(q, tie_tolerance))


def best_in_hindsight(p: np.ndarray, initial: np.ndarray, rewards: np.ndarray) -> tuple[float, np.ndarray]:
    """Find the fixed policy with the largest total reward over K episodes whose rewards change between episodes.

    For a fixed policy the totals add up, so the best one is optimal for the mean of the rewards.

    Args:
        p: (H, S, A, S) transition probabilities.
        initial: (S,) law of the first state.
        rewards: (K, H, S, A) expected rewards of each episode; losses are negative rewards.

    Returns:
        Its expected total reward, and the policy (H, S) as actions.
    """
    layers = backward_induction(p, np.asarray(rewards, np.float64).mean(axis=0))
    return float(len(rewards) * (initial @ layers.v[0])), layers.first
