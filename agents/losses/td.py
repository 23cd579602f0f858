"""Temporal-difference targets and losses of action values."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def greedy_value(q: Tensor, choosing: Tensor) -> Tensor:
    """Compute the value in `q` of the action that is greatest in `choosing`.

    With the target network for `q` and the online network for `choosing` this is the value of double Q-learning (van
    Hasselt et al., 2016, equation 4); with the target network for both, that of DQN (Mnih et al., 2015).

    Args:
        q: (N, A) action values.
        choosing: (N, A) action values, -inf for actions that are not allowed.

    Returns:
        Values (N,).
    """
    return q.gather(-1, choosing.argmax(dim=-1, keepdim=True)).squeeze(-1)


def huber_loss(q: Tensor, target: Tensor, delta: float | None) -> Tensor:
    """Compute the mean Huber loss: quadratic up to errors of `delta`, linear beyond; None for half the squared error.

    Args:
        q: (N,) values of the chosen actions.
        target: (N,), without gradient.
        delta: Largest quadratic error.

    Returns:
        Scalar.
    """
    if delta is None:
        return 0.5 * torch.mean((q - target) ** 2)
    return nn.functional.huber_loss(q, target, delta=delta)
