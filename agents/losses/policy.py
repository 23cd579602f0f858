"""Policy-gradient losses as pure functions of tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def clipped_surrogate(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip_range: float
) -> tuple[Tensor, Tensor]:
    """Compute PPO's clipped objective as a loss (Schulman et al. 2017, equation 7), and the probability ratios.

    L = -mean min(rho A, clip(rho, 1 - eps, 1 + eps) A) with rho = pi(a|s) / pi_old(a|s).

    Args:
        log_prob: (N,) under the present policy.
        old_log_prob: (N,) under the policy that collected the data.
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
    """Compute the derivative of `clipped_surrogate` by `log_prob` in closed form, (N,), and the ratios (N,).

    d rho / d log pi = rho, and the minimum of equation 7 equals rho A where clipping would not make it smaller. There
    the derivative is -rho A / N, elsewhere 0. This avoids the autograd graph of the loss, which costs a small network
    as much as its own layers.
    """
    ratio = torch.exp(log_prob - old_log_prob)
    slope = ratio * advantage
    follows = slope <= ratio.clamp(1 - clip_range, 1 + clip_range) * advantage
    return torch.where(follows, slope, 0.0).mul_(-1 / len(advantage)), ratio


def score_function_loss(log_prob: Tensor, advantage: Tensor, weight: Tensor | None = None) -> Tensor:
    """Compute the REINFORCE loss -mean(log pi(a|s) A), optionally weighted; all arguments have one shape (...)."""
    if weight is None:
        return -(log_prob * advantage).mean()
    return -(log_prob * advantage * weight).sum() / weight.sum()


def approximate_kl(log_prob: Tensor, old_log_prob: Tensor) -> Tensor:
    """Estimate KL(old || new) by the non-negative mean of (rho - 1) - log rho (Schulman, 2020)."""
    log_ratio = log_prob - old_log_prob
    return (torch.expm1(log_ratio) - log_ratio).mean()
