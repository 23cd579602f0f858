"""Off-policy evaluation with a finite class of value functions (Zanette, arXiv 2211.05311)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envzoo.agents.offline.ope.linear import check_discount
from envzoo.errors import EnvzooError


class Selection(NamedTuple):
    """The function that was selected, and the objective of every function (F,)."""

    index: int
    objective: np.ndarray


def losses(values: np.ndarray, next_values: np.ndarray, rewards: np.ndarray, gamma: float) -> np.ndarray:
    """Compute l(g, f) = 1/n sum_i (g_i - r_i - gamma f'_i)^2 for every pair, (F, F): rows are g, columns f.

    Args:
        values: (F, n), f(s_i, a_i) of every function.
        next_values: (F, n), the expected f(s'_i, a') under the target policy, 0 where the episode terminated.
        rewards: (n,).
        gamma: Discount factor.

    Raises:
        EnvzooError: Arrays that do not fit together, or a gamma outside [0, 1].
    """
    values, next_values, rewards = (np.asarray(x, np.float64) for x in (values, next_values, rewards))
    check_discount(gamma)
    if values.ndim != 2 or values.shape != next_values.shape or values.shape[1:] != rewards.shape or 0 in values.shape:
        raise EnvzooError(
            f"values, next_values and rewards have the shapes {values.shape}, {next_values.shape} and {rewards.shape}; "
            "expected (F, n), (F, n) and (n,)"
        )
    targets = rewards + gamma * next_values
    # Differences, not expanded squares, which would cancel.
    return np.stack([((values - target) ** 2).mean(axis=1) for target in targets], axis=1)


def minimax_ope(values: np.ndarray, next_values: np.ndarray, rewards: np.ndarray, gamma: float) -> Selection:
    """Select argmin_f [l(f, f) - min_g l(g, f)]; the first one where several are equal. For arguments see `losses`."""
    table = losses(values, next_values, rewards, gamma)
    objective = np.diagonal(table) - table.min(axis=0)
    return Selection(int(objective.argmin()), objective)


def naive_ope(values: np.ndarray, next_values: np.ndarray, rewards: np.ndarray, gamma: float) -> Selection:
    """Select argmin_f l(f, f), which prefers functions of little variance where transitions are random."""
    objective = np.diagonal(losses(values, next_values, rewards, gamma)).copy()
    return Selection(int(objective.argmin()), objective)
