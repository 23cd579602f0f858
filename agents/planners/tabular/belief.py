"""Belief filters of partially observable processes."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.tabular import FinitePOMDP


@njit(cache=True)
def filter_step(p, emission, belief, action, observation, out):
    """Write the unnormalised belief after an action and an observation into out (S,); returns its sum."""
    states = belief.size
    total = 0.0
    for t in range(states):
        moved = 0.0
        if emission[t, observation] > 0.0:
            for s in range(states):
                moved += belief[s] * p[s, action, t]
        out[t] = moved * emission[t, observation]
        total += out[t]
    return total


def first_belief(model: FinitePOMDP, observation: int) -> tuple[np.ndarray, float]:
    """Compute the belief (S,) after the first observation, and the probability of that observation."""
    weights = model.initial * model.emission[:, _check(model.num_observations, "observation", observation)]
    total = float(weights.sum())
    if total <= 0:
        raise EnvzooError(f"observation {observation} cannot open an episode")
    return weights / total, total


def update_belief(model: FinitePOMDP, belief: np.ndarray, action: int, observation: int) -> tuple[np.ndarray, float]:
    """Compute the belief (S,) after an action and the next observation, and the probability of the latter.

    Raises:
        EnvzooError: The observation is impossible, or a number is out of range.
    """
    action = _check(model.num_actions, "action", action)
    observation = _check(model.num_observations, "observation", observation)
    out = np.empty(model.num_states)
    total = filter_step(model.p, model.emission, np.ascontiguousarray(belief, np.float64), action, observation, out)
    if not total > 0:
        raise EnvzooError(f"observation {observation} is impossible after action {action} under this belief")
    return out / total, float(total)


def log_likelihood(model: FinitePOMDP, observations: np.ndarray, actions: np.ndarray) -> float:
    """Compute the log probability of observations (T + 1,) given actions (T,); -inf if they are impossible."""
    weights = model.initial * model.emission[:, observations[0]]
    total = float(weights.sum())
    if total <= 0:
        return -np.inf
    belief, found, out = weights / total, np.log(total), np.empty(model.num_states)
    for action, observation in zip(actions, observations[1:], strict=True):
        belief = np.where(model.terminal, 0.0, belief)
        total = filter_step(model.p, model.emission, belief, action, observation, out)
        if not total > 0:
            return -np.inf
        belief = out / total
        found += np.log(total)
    return float(found)


def _check(size: int, name: str, value: int) -> int:
    if not 0 <= value < size:
        raise EnvzooError(f"{name} is {value}; expected 0 to {size - 1}")
    return int(value)
