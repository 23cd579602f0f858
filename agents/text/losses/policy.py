"""Policy losses per token: PPO's clipped surrogate and its relatives."""

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
    """PPO's clipped surrogate as a loss per token.

    l = max(-A r, -A clip(r, 1 - eps_low, 1 + eps_high)); with `dual` = c, l = min(l, -A c) where A < 0.
    The gradient is 0 exactly where A > 0 and r > 1 + eps_high, or A < 0 and r < 1 - eps_low.

    Args:
        logp: (B, T) of the policy that learns.
        old_logp: (B, T) of the policy that wrote the answers.
        advantage: (B, T).
        eps_low: Scalar or (B, T).
        eps_high: Scalar or (B, T).
        dual: None, or the largest ratio that counts for tokens of negative advantage.

    Returns:
        Loss (B, T), and bool (B, T): where clipping took the gradient away.
    """
    return clip_ratio(probability_ratio(logp, old_logp), advantage, eps_low, eps_high, dual)


def clip_ratio(
    ratio: Tensor,
    advantage: Tensor,
    eps_low: float | Tensor,
    eps_high: float | Tensor,
    dual: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The clipped surrogate of given ratios (B, T); see `ppo_clip_per_token`."""
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
    """-A log pi per token (Williams 1992)."""
    return -advantage * logp


def gspo(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    mask: Tensor,
    eps_low: float = 3e-4,
    eps_high: float = 4e-4,
) -> tuple[Tensor, Tensor]:
    """Group sequence policy optimisation (Zheng et al. 2025, arXiv 2507.18071): one ratio for a whole answer.

    s = exp(mean over the row's tokens of log pi - log pi_old); in the form per token, sg(s) pi / sg(pi), whose
    gradient for equal advantages is that of s. Aggregate by "seq_mean_token_mean".

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
    """Clipped importance weights, REINFORCE gradient (MiniMax-M1, Chen et al. 2025, arXiv 2506.13585).

    -sg(clip(r, 1 - eps_low, 1 + eps_high)) A log pi: every token keeps a gradient. The defaults bound the weight to
    [0, 5]; the paper leaves its lower bound away and tunes the upper one.

    Returns:
        Loss (B, T), and bool (B, T): where the weight was bounded.
    """
    ratio = probability_ratio(logp, old_logp).detach()
    weight = ratio.clamp(1.0 - eps_low, 1.0 + eps_high)
    return -weight * advantage * logp, weight != ratio
