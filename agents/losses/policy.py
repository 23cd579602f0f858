"""Policy-gradient losses as pure functions of tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def clipped_surrogate(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip_range: float
) -> tuple[Tensor, Tensor]:
    """The clipped objective of PPO as a loss (Schulman et al. 2017, equation 7), and the probability ratios.

    L = -mean min(rho A, clip(rho, 1 - eps, 1 + eps) A) with rho = pi(a|s) / pi_old(a|s).

    Args:
        log_prob: (N,) under the policy that learns.
        old_log_prob: (N,) under the policy that acted.
        advantage: (N,).
        clip_range: eps.

    Returns:
        Scalar loss and ratios (N,).
    """
    ratio = torch.exp(log_prob - old_log_prob)
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return -torch.minimum(ratio * advantage, clipped * advantage).mean(), ratio


def clipped_surrogate_gradient(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip_range: float
) -> tuple[Tensor, Tensor]:
    """Derivative of `clipped_surrogate` with respect to `log_prob`, in closed form: (N,), and the ratios (N,).

    d rho / d log pi = rho, and the minimum of equation 7 follows rho only while clipping would not make it smaller.
    There the derivative is -rho A / N, elsewhere 0. It spares a small network the graph of the loss, which costs as
    much as its own layers.
    """
    ratio = torch.exp(log_prob - old_log_prob)
    slope = ratio * advantage
    follows = slope <= ratio.clamp(1 - clip_range, 1 + clip_range) * advantage
    return torch.where(follows, slope, 0.0).mul_(-1 / len(advantage)), ratio


def score_function_loss(log_prob: Tensor, advantage: Tensor, weight: Tensor | None = None) -> Tensor:
    """REINFORCE: -mean log pi(a|s) A, or the mean weighted by `weight`; all (...) of one shape."""
    if weight is None:
        return -(log_prob * advantage).mean()
    return -(log_prob * advantage * weight).sum() / weight.sum()


def approximate_kl(log_prob: Tensor, old_log_prob: Tensor) -> Tensor:
    """Estimate of KL(old || new) that is never negative: mean of (rho - 1) - log rho (Schulman, 2020)."""
    log_ratio = log_prob - old_log_prob
    return (torch.expm1(log_ratio) - log_ratio).mean()
