"""Carrier policies: what an agent would do if it had no message to hide; the maximum-entropy policy of a finite MDP."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from envzoo.coding_games.mdp import FiniteMDP
from envzoo.errors import EnvzooError


@njit(cache=True)
def soft_maximum(row: np.ndarray, alpha: float) -> float:
    """alpha log sum exp(row / alpha), the largest entry for alpha 0; entries of -inf count nothing."""
    top = row.max()
    if alpha == 0.0:
        return top
    total = 0.0
    for value in row:
        total += np.exp((value - top) / alpha)
    return top + alpha * np.log(total)


@njit(cache=True)
def soft_backup(p: np.ndarray, r: np.ndarray, gamma: float, alpha: float, v: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Write r + gamma P v into q (S, A), and return its soft maximum over actions (S,)."""
    states, actions = r.shape
    out = np.empty(states)
    for s in range(states):
        for a in range(actions):
            expected = 0.0
            for t in range(states):
                expected += p[s, a, t] * v[t]
            q[s, a] = r[s, a] + gamma * expected
        out[s] = soft_maximum(q[s], alpha)
    return out


@njit(cache=True)
def soft_iteration(p: np.ndarray, r: np.ndarray, gamma: float, alpha: float, tolerance: float, limit: int):
    """Soft value iteration from zero to an error of at most `tolerance`.

    Args:
        p: (S, A, S) transition probabilities; what a row lacks to 1 ends the episode.
        r: (S, A) expected rewards, -inf for actions that are not available.
        gamma: Discount.
        alpha: Temperature, 0 for ordinary value iteration.
        tolerance: Largest error of a value.
        limit: Backups after which to give up.

    Returns:
        Values (S,), action values (S, A), and the number of backups, limit + 1 if they did not suffice.
    """
    v, q = np.zeros(r.shape[0]), np.empty(r.shape)
    for iteration in range(1, limit + 1):
        new = soft_backup(p, r, gamma, alpha, v, q)
        change, size = np.abs(new - v).max(), np.abs(new).max()
        v = new
        # The distance to the fixed point is at most gamma / (1 - gamma) times the last change; below a few units in
        # the last place a smaller change cannot be reached.
        if gamma * change <= max((1.0 - gamma) * tolerance, 4e-16 * size):
            return v, q, iteration
    return v, q, limit + 1


def soft_policy(q: np.ndarray, alpha: float) -> np.ndarray:
    """softmax(q / alpha) along the last axis, (..., A) -> (..., A); with alpha 0 even among the largest."""
    q = np.asarray(q, np.float64)
    gap = q - q.max(axis=-1, keepdims=True)
    weights = (gap == 0).astype(np.float64) if alpha == 0 else np.exp(gap / alpha)
    return weights / weights.sum(axis=-1, keepdims=True)


OFFICIAL_BACKUPS = 100


def _official_values(mdp: FiniteMDP, rewards: np.ndarray, alpha: float) -> np.ndarray:
    """Action values (S, A) after the backups of the released code of arXiv 2410.21666.

    It keeps a value for each action of a terminal state too, all equal to the state's reward, so that their soft
    maximum is larger than that by alpha log A. All action values begin at 0, those of terminal states as well: the
    rewards enter with the second backup.
    """
    moves = mdp.transition * ~mdp.terminal[:, None, None]
    q = np.where(np.isfinite(rewards), 0.0, -np.inf)
    entered = np.zeros_like(rewards)
    for _ in range(OFFICIAL_BACKUPS):
        v = np.array([soft_maximum(row, alpha) for row in q])
        q = np.where(np.isfinite(rewards), entered + mdp.discount * moves @ v, -np.inf)
        q[mdp.terminal] = 0.0
        entered = rewards
    return q


def carrier_policy(mdp: FiniteMDP, temperature: float, official: bool = False) -> np.ndarray:
    """The maximum-entropy policy of a decision process, with which the games' messages are hidden.

    It maximises E sum_t discount^t (discount * reward of move t + temperature * entropy of the policy in nats): as in
    `FiniteMDP`, a reward belongs to the state that is entered, and so is discounted once more than the choice that led
    there. No entropy is earned after the end.

    Args:
        mdp: The process; its discount is below 1.
        temperature: At least 0; 0 gives the greedy policy, even among the best actions.
        official: Compute it as the released code of arXiv 2410.21666 does: 100 backups, whether or not they converge,
            and temperature * log(A) nats of entropy earned for entering a terminal state of A actions. The end is worth
            more then, and the walk shorter.

    Returns:
        (S, A) probabilities, 0 for actions that are not available; uniform in terminal states.

    Raises:
        EnvzooError: A temperature that is negative or not finite, or a discount of 1.
    """
    number = isinstance(temperature, int | float | np.number) and not isinstance(temperature, bool)
    if not number or not (0 <= temperature < math.inf):
        raise EnvzooError(f"temperature is {temperature!r}; expected a finite number of at least 0")
    if mdp.discount >= 1:
        raise EnvzooError("the discount is 1; expected less, or the carrier policy is not determined")
    rewards = np.where(mdp.available | mdp.terminal[:, None], mdp.discount * mdp.expected_reward, -np.inf)
    if official:
        return soft_policy(_official_values(mdp, rewards, float(temperature)), temperature)
    _, q, _ = soft_iteration(mdp.continuing, rewards, mdp.discount, float(temperature), 1e-12, 10_000_000)
    return soft_policy(q, temperature)
