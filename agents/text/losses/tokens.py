"""Masked statistics of tokens, entropies, and the aggregation of a loss per token."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from envzoo.errors import EnvzooError, unknown

LOG_RATIO_BOUND = 20.0  # exp of more than this is not a useful weight, and soon overflows


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """Sum `values` (B, T) where `mask` is not 0; values on padding, including NaN, are ignored."""
    return torch.where(mask > 0, values, 0.0).sum()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Compute the mean of `values` (B, T) over the mask; 0, with zero gradient, if the mask is empty."""
    return masked_sum(values, mask) / mask.sum().clamp_min(1.0)


def masked_whiten(values: Tensor, mask: Tensor, eps: float = 1e-8) -> Tensor:
    """Compute (x - mean) / sqrt(var + eps) over the mask, with the unbiased variance; 0 off the mask; (B, T).

    Raises:
        EnvzooError: There are fewer than two tokens, which have no variance.
    """
    count = mask.sum()
    if count < 2:
        raise EnvzooError(f"whitening needs at least 2 tokens, got {int(count)}")
    mean = masked_mean(values, mask)
    variance = masked_sum((values - mean) ** 2, mask) / (count - 1)
    return torch.where(mask > 0, (values - mean) * torch.rsqrt(variance + eps), 0.0)


def probability_ratio(logp: Tensor, old_logp: Tensor) -> Tensor:
    """Compute pi / pi_old per token, with the log-ratio clipped to [-20, 20]."""
    return torch.exp((logp - old_logp).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND))


def entropy_of_logits(logits: Tensor) -> Tensor:
    """Compute the entropy of softmax(logits) in nats, (..., V) -> (...); logits of -inf count as probability 0.

    H = logsumexp z - sum softmax(z) z. Divide the logits by the sampling temperature first.
    """
    return entropy_of_log_probs(torch.log_softmax(logits.float() if logits.dtype != torch.float64 else logits, -1))


def entropy_of_log_probs(log_prob: Tensor) -> Tensor:
    """Compute the entropy in nats of log-probabilities, (..., V) -> (...); -inf counts as probability 0."""
    # Replaced before the product: 0 * -inf is NaN, and a `where` after the product keeps the NaN in the gradient.
    return -(log_prob.exp() * log_prob.masked_fill(log_prob == -torch.inf, 0.0)).sum(-1)


def _token_mean(loss: Tensor, mask: Tensor, length: int | None) -> Tensor:
    return masked_mean(loss, mask)


def _rows(loss: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    count = mask.sum(1)
    return torch.where(mask > 0, loss, 0.0).sum(1), count, (count > 0).sum().clamp_min(1)


def _seq_mean_token_sum(loss: Tensor, mask: Tensor, length: int | None) -> Tensor:
    total, _, rows = _rows(loss, mask)
    return total.sum() / rows


def _seq_mean_token_mean(loss: Tensor, mask: Tensor, length: int | None) -> Tensor:
    total, count, rows = _rows(loss, mask)
    return (total / count.clamp_min(1.0)).sum() / rows


def _seq_mean_token_sum_norm(loss: Tensor, mask: Tensor, length: int | None) -> Tensor:
    return masked_sum(loss, mask) / (loss.shape[0] * (length or loss.shape[1]))


def _token_sum_norm(loss: Tensor, mask: Tensor, length: int | None) -> Tensor:
    return masked_sum(loss, mask) / (length or loss.shape[1])


AGGREGATIONS: dict[str, Callable[[Tensor, Tensor, int | None], Tensor]] = {
    "token_mean": _token_mean,
    "seq_mean_token_sum": _seq_mean_token_sum,
    "seq_mean_token_mean": _seq_mean_token_mean,
    "seq_mean_token_sum_norm": _seq_mean_token_sum_norm,
    "token_sum_norm": _token_sum_norm,
}


def aggregate(loss: Tensor, mask: Tensor, how: str = "token_mean", length: int | None = None) -> Tensor:
    """Aggregate a loss per token (B, T) to a scalar.

    - token_mean: mean over all tokens of the batch (DAPO).
    - seq_mean_token_sum: sum over the tokens of a row, mean over the rows that have tokens.
    - seq_mean_token_mean: mean over the tokens of a row, then over rows (GRPO as published; the tokens of long answers
      have smaller weights).
    - seq_mean_token_sum_norm: sum over all tokens / (B * length), Dr. GRPO as in TRL.
    - token_sum_norm: sum over all tokens / length, as in verl; it grows with the number of rows.

    Args:
        loss: (B, T).
        mask: (B, T).
        how: One of the names above.
        length: The constant in the denominator; None for T.

    Raises:
        UnknownNameError: The name is unknown.
    """
    if how not in AGGREGATIONS:
        raise unknown("aggregation", how, AGGREGATIONS)
    return AGGREGATIONS[how](loss, mask, length)


def top_mask(values: Tensor, mask: Tensor, count: int | Tensor, largest: bool = True) -> Tensor:
    """Select the `count` masked tokens of the largest (or smallest) value, bool (B, T); earlier tokens win ties."""
    valid = (mask > 0).flatten()
    order = torch.argsort(values.detach().flatten(), descending=largest, stable=True)
    order = order.gather(
        0, torch.argsort((~valid).gather(0, order).to(torch.int8), stable=True)
    )  # the valid ones first
    rank = torch.empty_like(order).scatter(0, order, torch.arange(mask.numel(), device=mask.device))
    return ((rank < count) & valid).view(mask.shape)


def masked_quantile(values: Tensor, mask: Tensor, q: float) -> Tensor:
    """Compute the q-quantile of `values` over the mask by the nearest rank; 0 if the mask is empty."""
    valid = (mask > 0).flatten()
    if not valid.numel():
        return values.new_zeros(())
    ranked = torch.where(valid, values.detach().flatten(), torch.inf).sort().values
    index = (q * (valid.sum() - 1).clamp_min(0).double()).round().long()
    return torch.where(valid.any(), ranked.gather(0, index[None])[0], 0.0)


def fork_token_mask(entropy: Tensor, mask: Tensor, share: float = 0.2) -> Tensor:
    """Select the tokens with a gradient in the 80/20 rule, float (B, T) (Wang et al. 2025, arXiv 2506.01939).

    These are the tokens whose entropy reaches the (1 - share)-quantile of the batch.
    """
    return ((entropy >= masked_quantile(entropy, mask, 1.0 - share)) & (mask > 0)).to(mask.dtype)
