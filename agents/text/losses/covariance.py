"""Clip-Cov, KL-Cov and the entropy law of "The Entropy Mechanism" (Cui et al. 2025, arXiv 2505.22617)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.text.losses.kl import KL_ESTIMATORS
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean, masked_quantile, probability_ratio, top_mask
from envzoo.errors import unknown


def token_covariance(logp: Tensor, advantage: Tensor, mask: Tensor) -> Tensor:
    """(log pi - mean log pi)(A - mean A) per token, means over the mask; (B, T), without gradient, 0 off the mask.

    Its mean is the covariance that, to first order, entropy falls by: a natural-gradient step eta A on the logits
    changes the entropy by -eta Cov(log pi, A).
    """
    logp, advantage = logp.detach(), advantage.detach()
    product = (logp - masked_mean(logp, mask)) * (advantage - masked_mean(advantage, mask))
    return torch.where(mask > 0, product, 0.0)


def clip_cov(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    fraction: float = 2e-4,
    low: float = 1.0,
    high: float = 5.0,
    low_quantile: float | None = None,
    eps_low: float = 1.0,
    eps_high: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """PPO's loss with the gradient taken from a few tokens, drawn among those of a large covariance.

    Candidates are the unclipped tokens with low < covariance < high; max(1, int(fraction N)) of them, drawn without
    replacement, lose their loss (they still count in a token mean). The defaults are those of the released 7B script.

    Args:
        logp: (B, T).
        old_logp: (B, T).
        advantage: (B, T).
        mask: (B, T), N tokens.
        generator: On the device of the tensors.
        fraction: Share of tokens to take out.
        low: Smallest covariance of a candidate.
        high: Largest.
        low_quantile: A quantile of the covariances to use instead of `low`; short answers hardly reach 1.
        eps_low: PPO's clipping; 1 and 1 let ratios in [0, 2] pass, as in the released scripts.
        eps_high: Likewise.

    Returns:
        Loss (B, T), and metrics.
    """
    loss, clipped = ppo_clip_per_token(logp, old_logp, advantage, eps_low, eps_high)
    covariance = token_covariance(logp, advantage, mask)
    bound = low if low_quantile is None else masked_quantile(covariance, mask, low_quantile)
    candidate = (covariance > bound) & (covariance < high) & ~clipped & (mask > 0)
    count = max(1, int(fraction * float(mask.sum())))
    keys = torch.rand(mask.shape, generator=generator, device=mask.device)
    removed = top_mask(keys, candidate, count)
    metrics = _metrics(covariance, mask, removed) | {"clip_fraction": masked_mean(clipped.to(mask.dtype), mask)}
    return torch.where(removed, 0.0, loss), metrics


def kl_cov(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    mask: Tensor,
    fraction: float = 2e-3,
    beta: float = 1.0,
    penalty: str = "absolute",
) -> tuple[Tensor, dict[str, Tensor]]:
    """The unclipped surrogate -A r, with a penalty on the tokens of the largest covariance.

    The max(1, int(fraction N)) tokens get beta |log pi - log pi_old| on top. Without any advantage nothing is chosen.

    Args:
        logp: (B, T).
        old_logp: (B, T).
        advantage: (B, T).
        mask: (B, T), N tokens.
        fraction: Share of tokens with a penalty; 0.002 in the 7B script, 0.0002 in the 32B script.
        beta: Weight of the penalty.
        penalty: "absolute" as the released code has it, which has no gradient before the policy has moved, or another
            estimator of `KL_ESTIMATORS`.

    Returns:
        Loss (B, T), and metrics.

    Raises:
        UnknownNameError: Another penalty.
    """
    if penalty not in KL_ESTIMATORS:
        raise unknown("penalty", penalty, KL_ESTIMATORS)
    covariance = token_covariance(logp, advantage, mask)
    count = max(1, int(fraction * float(mask.sum()))) if bool((advantage * mask).any()) else 0
    chosen = top_mask(covariance, mask, count)
    loss = -advantage * probability_ratio(logp, old_logp)
    loss = loss + torch.where(chosen, beta * KL_ESTIMATORS[penalty](logp, old_logp), 0.0)
    return loss, _metrics(covariance, mask, chosen)


def _metrics(covariance: Tensor, mask: Tensor, chosen: Tensor) -> dict[str, Tensor]:
    return {
        "covariance": masked_mean(covariance, mask),
        "chosen_fraction": masked_mean(chosen.to(mask.dtype), mask),
    }


def fit_entropy_law(entropy: np.ndarray, reward: np.ndarray) -> tuple[float, float, float]:
    """Fit R = b - a exp(H) by least squares to points of one run.

    Args:
        entropy: H, (n,) nats per token.
        reward: R, (n,) accuracies.

    Returns:
        a, b (so the ceiling at H = 0 is b - a), and R^2.
    """
    x, y = np.exp(np.asarray(entropy, float)), np.asarray(reward, float)
    slope, intercept = np.polyfit(x, y, 1)
    residual = y - (intercept + slope * x)
    return float(-slope), float(intercept), float(1.0 - residual @ residual / ((y - y.mean()) ** 2).sum())
