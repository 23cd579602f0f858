"""Estimators of the KL divergence from a reference policy by log-probabilities of sampled tokens (Schulman 2020)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from envzoo.agents.text.losses.tokens import LOG_RATIO_BOUND


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """Compute log pi - log pi_ref: unbiased for KL(pi || pi_ref) under pi, of either sign."""
    return logp - ref_logp


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """Compute (log pi - log pi_ref)^2 / 2: biased, but under pi its gradient is that of KL(pi || pi_ref)."""
    return 0.5 * (logp - ref_logp) ** 2


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """Compute exp(d) - d - 1 with d = log pi_ref - log pi: unbiased and never negative.

    Its gradient is not that of the divergence. d is clipped to [-20, 20].
    """
    d = (ref_logp - logp).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)
    return torch.expm1(d) - d


def k3_plus(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """Compute the value of k3 with the gradient of k2."""
    value, slope = k3(logp, ref_logp), k2(logp, ref_logp)
    return slope + (value - slope).detach()


def absolute(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """Compute |log pi - log pi_ref|, the penalty of KL-Cov; its gradient is 0 where the two are equal."""
    return (logp - ref_logp).abs()


KL_ESTIMATORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "k1": k1,
    "k2": k2,
    "k3": k3,
    "k3_plus": k3_plus,
    "absolute": absolute,
}
