"""Multi-step returns of a transition table, as array operations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envzoo.datasets.table import TransitionTable
from envzoo.errors import EnvzooError


class NStepReturns(NamedTuple):
    """Terms of an n-step value target: `rewards + discounts * V(next_observations[last])`.

    Attributes:
        rewards: (N,) float64, sum over k < m of gamma^k r_(i + k), where m is n, or less where the episode ends before.
        last: (N,) int64, row of the last transition of the sum; its next observation is the one to bootstrap from.
        discounts: (N,) float64, gamma^m, or 0 where the episode terminates within the m steps.
    """

    rewards: np.ndarray
    last: np.ndarray
    discounts: np.ndarray


def n_step_returns(table: TransitionTable, n: int, gamma: float | None = None) -> NStepReturns:
    """Compute the n-step return of every row; sums end with the episode and bootstrap at timeouts.

    Args:
        table: The transitions.
        n: Largest number of steps; with n at least the longest episode, returns are those of Monte Carlo.
        gamma: Discount factor; None takes the table's.

    Raises:
        EnvzooError: n is not positive, or gamma is outside [0, 1].
    """
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise EnvzooError(f"n is {n!r}; expected a whole number of at least 1")
    gamma = table.gamma if gamma is None else gamma
    if not isinstance(gamma, int | float | np.number) or isinstance(gamma, bool) or not 0 <= gamma <= 1:
        raise EnvzooError(f"gamma is {gamma!r}; expected a number in [0, 1]")
    rows = np.arange(len(table))
    ends = np.append(table.episode_starts[1:], len(table)) - 1
    room = ends[table.episode_id] - rows + 1  # steps to the end of the episode, this one included
    steps = np.minimum(room, n)
    total = np.zeros(len(table))
    for k in range(int(steps.max())):
        inside = np.flatnonzero(steps > k)
        total[inside] += gamma**k * table.rewards[inside + k]
    last = rows + steps - 1
    return NStepReturns(total, last, gamma**steps * ~table.terminals[last])
