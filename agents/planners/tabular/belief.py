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


def update_beliefs(
    model: FinitePOMDP, beliefs: np.ndarray, actions: np.ndarray, observations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute many beliefs (n, S) after one action and observation each, and the probabilities (n,) of the latter.

    Where an observation is impossible its probability is 0, and the belief is 0 everywhere.

    Args:
        model: The process.
        beliefs: (n, S) beliefs, or (S,) for all of them.
        actions: (n,) actions, or one for all.
        observations: (n,) observations, or one for all.

    Raises:
        EnvzooError: Numbers out of range, or arrays that do not fit together.
    """
    actions = _check_all(model.num_actions, "actions", actions)
    observations = _check_all(model.num_observations, "observations", observations)
    beliefs = np.asarray(beliefs, np.float64)
    if beliefs.shape[-1:] != (model.num_states,):
        raise EnvzooError(f"beliefs have the shape {beliefs.shape}; expected (n, {model.num_states})")
    moved = (beliefs[..., None, :] @ model.p.transpose(1, 0, 2)[actions])[..., 0, :]
    weights = moved * model.emission.T[observations]
    chances = weights.sum(axis=-1)
    return weights / np.where(chances > 0, chances, 1.0)[..., None], chances


def _check_all(size: int, name: str, values: np.ndarray) -> np.ndarray:
    given = np.asarray(values)
    if given.dtype.kind not in "iu" or not ((given >= 0) & (given < size)).all():
        raise EnvzooError(f"{name} are out of range; expected 0 to {size - 1}")
    return given
