"""Compiled functions shared by bandit environments and planners. A *column* represents a state; see `model.py`."""

from __future__ import annotations

from numba import njit


@njit(cache=True, inline="always")
def after_pull(column, satiation):
    """Return the column after a pull: tau > 0 -> -1, tau < 0 -> tau - 1, at least -satiation."""
    return max(min(column, satiation) - 1, 0)


@njit(cache=True, inline="always")
def after_rest(column, satiation, num_states):
    """Return the column after a round of rest: tau > 0 -> tau + 1, tau < 0 -> 1, at most the last."""
    return min(max(column, satiation - 1) + 1, num_states - 1)
