"""HAPO: every stage as a continuous function of the token's entropy (arXiv 2509.16591)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from envzoo.agents.text.losses.advantages import group_mean, group_scores, group_varies
from envzoo.agents.text.losses.tokens import masked_mean, masked_quantile
from envzoo.errors import EnvzooError


class EntropyScale(NamedTuple):
    """What normalises log-entropies: quantile, deviation about it, largest and smallest deviation in units of it."""

    centre: float
    spread: float
    highest: float
    lowest: float


def entropy_scale(entropy: Tensor, mask: Tensor, rho: float = 0.8, floor: float = 1e-8) -> EntropyScale:
    """Measure the log-entropies of a batch (B, T); `floor` bounds the entropy from below before the logarithm."""
    logs = entropy.detach().clamp_min(floor).log()
    centre = masked_quantile(logs, mask, rho)
    spread = masked_mean((logs - centre) ** 2, mask).clamp_min(1e-8).sqrt()
    h = torch.where(mask > 0, (logs - centre) / spread, 0.0)
    return EntropyScale(float(centre), float(spread), float(h.max()), float(h.min()))


def normalised_entropy(
    entropy: Tensor, scale: EntropyScale, floor: float = 1e-8, official_sign: bool = False
) -> Tensor:
    """h in [-1, 1] (...): above 0 for entropies above the quantile, 1 for the highest, -1 for the lowest.

    Args:
        entropy: (...) nats.
        scale: From `entropy_scale`, of the same batch or of the one before (then values are bounded to [-1, 1]).
        floor: As in `entropy_scale`.
        official_sign: Divide negative values by the negative minimum, as the released code does; the lowest entropies
            then get +1 and count as the highest. Off, because it contradicts the paper's text.
    """
    h = (entropy.detach().clamp_min(floor).log() - scale.centre) / scale.spread
    up = h / max(scale.highest, 1e-8)
    down = h / min(scale.lowest, -1e-8)  # both negative: the share of the way down, as a positive number
    return torch.where(h > 0, up, down if official_sign else -down).clamp(-1.0, 1.0)


def sampling_temperature(h: Tensor, tau: float = 0.05, base: float = 1.0) -> Tensor:
    """Component A: base (1 + tau h), the temperature of the next token where its normalised entropy is h."""
    return base * (1.0 + tau * h)


def token_group_mean(reward: Tensor, group: Tensor, mask: Tensor, limit: float = 5.0) -> tuple[Tensor, Tensor]:
    """Component B: advantages against the mean over a group's *tokens*, each of which carries its answer's reward.

    A = (R - mu) / (sigma + 1e-6), with mean and population deviation over the pooled tokens, so the advantages of a
    group's tokens sum to 0 whatever the lengths. A group with an |A| of `limit` or more takes GRPO's advantages. An
    answer without tokens has no part in any of this.

    Returns:
        (B, T), and bool (B,): rows whose group fell back, those without tokens left out.

    Raises:
        EnvzooError: A group of one answer.
    """
    if (group_mean(reward, group)[1] < 2).any():
        raise EnvzooError("group advantages compare answers to the same prompt; got a group of 1, expected at least 2")
    written = mask.sum(1).nonzero().squeeze(1)
    scores, excess = torch.zeros_like(reward), torch.zeros_like(group, dtype=torch.bool)
    scores[written], excess[written] = _token_scores(reward[written], group[written], mask[written].sum(1), limit)
    return scores[:, None] * mask, excess


def _token_scores(reward: Tensor, group: Tensor, length: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Scores (B,) of answers of `length` (B,) > 0 tokens, and which of them are GRPO's."""
    weight = group_mean(length, group)[0]
    centred = reward - group_mean(reward * length, group)[0] / weight
    deviation = (group_mean(centred**2 * length, group)[0] / weight).sqrt()
    pooled = torch.where(group_varies(reward, group), centred / (deviation + 1e-6), 0.0)
    excess = group_mean((pooled.abs() >= limit).to(reward.dtype), group)[0] > 0
    fallen = excess.nonzero().squeeze(1)  # of groups that vary, so of at least two answers
    return pooled.index_copy(0, fallen, group_scores(reward[fallen], group[fallen])), excess


def clip_bounds(h: Tensor, eps: float = 0.2, alpha: float = 1.0) -> tuple[Tensor, Tensor]:
    """Component D: (eps_low, eps_high) per token; confident tokens may fall further, uncertain ones rise further."""
    base = torch.full_like(h, eps)
    return torch.where(h > 0, base, eps * (1.0 - alpha * h)), torch.where(h > 0, eps * (1.0 + alpha * h), base)


def redistribute(
    advantage: Tensor, ratio: Tensor, h: Tensor, eps_low: Tensor | float, eps_high: Tensor | float, beta: float = 1.0
) -> Tensor:
    """Component C: A (1 + beta h) for uncertain tokens that are moving and confident tokens that are not, else A.

    A token is not moving while 1 - eps_low / 2 < r < 1 + eps_high / 2; all (B, T).
    """
    ratio = ratio.detach()
    near = (ratio > 1.0 - eps_low / 2.0) & (ratio < 1.0 + eps_high / 2.0)
    return torch.where((h > 0) != near, advantage * (1.0 + beta * h), advantage)
