"""Policy losses per token: PPO's clipped surrogate and its variants."""

from __future__ import annotations

import torch
from torch import Tensor

from envzoo.agents.text.losses.tokens import probability_ratio


def ppo_clip_per_token(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    eps_low: float | Tensor = 0.2,
    eps_high: float | Tensor = 0.2,
    dual: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute PPO's clipped surrogate as a loss per token.

    l = max(-A r, -A clip(r, 1 - eps_low, 1 + eps_high)); with `dual` = c, l = min(l, -A c) where A < 0.
    The gradient is 0 exactly where A > 0 and r > 1 + eps_high, or A < 0 and r < 1 - eps_low.

    Args:
        logp: (B, T), under the current policy.
        old_logp: (B, T), under the sampling policy.
        advantage: (B, T).
        eps_low: Scalar or (B, T).
        eps_high: Scalar or (B, T).
        dual: Maximum ratio of tokens of negative advantage (dual clipping); None for no limit.

    Returns:
        Loss (B, T), and bool (B, T): where clipping removes the gradient.
    """
    return clip_ratio(probability_ratio(logp, old_logp), advantage, eps_low, eps_high, dual)


def clip_ratio(
    ratio: Tensor,
    advantage: Tensor,
    eps_low: float | Tensor,
    eps_high: float | Tensor,
    dual: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute the clipped surrogate of given ratios (B, T); see `ppo_clip_per_token`."""
    low = torch.as_tensor(1.0 - eps_low, dtype=ratio.dtype, device=ratio.device)
    high = torch.as_tensor(1.0 + eps_high, dtype=ratio.dtype, device=ratio.device)
    plain, bounded = -advantage * ratio, -advantage * torch.minimum(torch.maximum(ratio, low), high)
    clipped = bounded > plain
    loss = torch.where(clipped, bounded, plain)
    if dual is not None:
        ceiling = -advantage * dual
        beyond = (advantage < 0) & (loss > ceiling)
        loss, clipped = torch.where(beyond, ceiling, loss), clipped | beyond
    return loss, clipped


def reinforce(logp: Tensor, advantage: Tensor) -> Tensor:
    """Compute -A log pi per token (REINFORCE, Williams 1992)."""
    return -advantage * logp


def gspo(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    mask: Tensor,
    eps_low: float = 3e-4,
    eps_high: float = 4e-4,
) -> tuple[Tensor, Tensor]:
    """Compute the clipped surrogate with one ratio per answer (GSPO, Zheng et al. 2025, arXiv 2507.18071).

    The ratio is s = exp(mean over the tokens of a row of log pi - log pi_old). The form per token is sg(s) pi / sg(pi),
    whose gradient for equal advantages is that of s. Aggregate by "seq_mean_token_mean".

    Returns:
        Loss (B, T), and bool (B, T): the tokens of clipped rows.
    """
    difference = torch.where(mask > 0, logp - old_logp, 0.0)
    sequence = difference.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp_min(1.0)
    ratio = torch.exp((sequence.detach() + logp - logp.detach()).clamp(max=10.0))
    return clip_ratio(ratio, advantage, eps_low, eps_high)


def cispo(
    logp: Tensor, old_logp: Tensor, advantage: Tensor, eps_low: float = 1.0, eps_high: float = 4.0
) -> tuple[Tensor, Tensor]:
    """Compute REINFORCE with clipped importance weights (CISPO, MiniMax 2025, arXiv 2506.13585).

    The loss is -sg(clip(r, 1 - eps_low, 1 + eps_high)) A log pi, so every token keeps a gradient. The defaults clip the
    weight to [0, 5]; the paper has no lower bound and tunes the upper one.

    Returns:
        Loss (B, T), and bool (B, T): where the weight is clipped.
    """
    ratio = probability_ratio(logp, old_logp).detach()
    weight = ratio.clamp(1.0 - eps_low, 1.0 + eps_high)
    return -weight * advantage * logp, weight != ratio
