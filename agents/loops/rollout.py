"""The experience that the on-policy loop collects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass
class Rollout:
    """Experience of T steps in B environments, time first. Tensors on the agent's device, the rest NumPy.

    Attributes:
        observation: (T, B, P) packed.
        action: (T, B) int64 or (T, B, D).
        log_prob: (T, B) of the actions when they were taken.
        value: (T, B) or None without a critic.
        next_value: (T, B) or None: V of the true next observation; only entries that may be bootstrapped are filled.
        reward: (T, B) float32.
        terminated: (T, B) bool.
        done: (T, B) bool.
        start: (T, B) bool, the observation opens an episode.
        valid: (T, B) bool, the step counts.
        state: (B, state_dim), memory of the policy before the first step.
        next_observation: (T, B, P) packed, what each step led to, also where an episode ended; only gathered for an
            intrinsic reward.
        bonus: (T, B) float32 or None, what an intrinsic reward adds to advantages and to the critic's targets.
    """

    observation: Tensor
    action: Tensor
    log_prob: Tensor
    value: np.ndarray | None
    next_value: np.ndarray | None
    reward: np.ndarray
    terminated: np.ndarray
    done: np.ndarray
    start: np.ndarray
    valid: np.ndarray
    state: Tensor
    next_observation: Tensor | None = None
    bonus: np.ndarray | None = None
