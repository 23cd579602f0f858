"""Returns and advantages of time-major arrays (T, B), compiled with Numba; they do not cross episode boundaries."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def generalized_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    done: np.ndarray,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
    """Compute generalised advantage estimates (Schulman et al. 2016, equations 11 to 16 of arXiv 1506.02438).

    delta_t = r_t + gamma (1 - terminated_t) V(s_{t+1}) - V(s_t);  A_t = delta_t + gamma lambda (1 - done_t) A_{t+1}.

    Args:
        rewards: (T, B).
        values: (T, B), V of the observation in which the action was taken.
        next_values: (T, B), V of the true next observation (the final one where an episode ends).
        terminated: (T, B) bool: no value is bootstrapped there.
        done: (T, B) bool, terminated or truncated: later rewards are not credited, but a truncation bootstraps.
        gamma: Discount factor.
        gae_lambda: Lambda; 1 gives Monte-Carlo, 0 one-step estimates.

    Returns:
        Advantages (T, B), float32; add `values` for the critic's targets.
    """
    steps, num_envs = rewards.shape
    out = np.empty((steps, num_envs), np.float32)
    for b in range(num_envs):
        running = 0.0
        for t in range(steps - 1, -1, -1):
            bootstrap = 0.0 if terminated[t, b] else gamma * next_values[t, b]
            delta = rewards[t, b] + bootstrap - values[t, b]
            running = delta + (0.0 if done[t, b] else gamma * gae_lambda * running)
            out[t, b] = running
    return out


@numba.njit(cache=True)
def reward_to_go(rewards: np.ndarray, done: np.ndarray, gamma: float) -> np.ndarray:
    """Compute the discounted sum of rewards from each step to the end of its episode, (T, B) -> (T, B) float32."""
    steps, num_envs = rewards.shape
    out = np.empty((steps, num_envs), np.float32)
    for b in range(num_envs):
        running = 0.0
        for t in range(steps - 1, -1, -1):
            running = rewards[t, b] + (0.0 if done[t, b] else gamma * running)
            out[t, b] = running
    return out


@numba.njit(cache=True)
def cumulative_rewards(rewards: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Compute the undiscounted sum of rewards from the start of the episode through each step, (T, B) float32.

    `start` (T, B) bool marks the first step of an episode.
    """
    steps, num_envs = rewards.shape
    out = np.empty((steps, num_envs), np.float32)
    for b in range(num_envs):
        running = 0.0
        for t in range(steps):
            running = rewards[t, b] + (0.0 if start[t, b] else running)
            out[t, b] = running
    return out
