"""STEER: weights from an estimate of how much each token changes the entropy (arXiv 2510.10150)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from envzoo.agents.text.losses.tokens import masked_mean, probability_ratio
from envzoo.errors import EnvzooError, unknown


def entropy_change_estimate(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    entropy: Tensor,
    clipped: Tensor | None = None,
    form: str = "derived",
) -> Tensor:
    """Omega (B, T): an update of token k alone changes the entropy of its distribution by about -eta Omega.

    If only the logit of the sampled token moves, by eta r A (1 - p), the entropy changes by
    -eta r A p (1 - p)(log p + H) to first order. So tokens with p > exp(-H) lower the entropy when they are rewarded.

    Args:
        logp: (B, T), log p.
        old_logp: (B, T).
        advantage: (B, T).
        entropy: (B, T), H of the distribution the token was drawn from.
        clipped: Bool (B, T), tokens without a gradient; their estimate is 0.
        form: "derived", the formula above; or "official", the released code's, which lacks one factor p, clips
            nothing, and so gives rare tokens a far larger estimate.

    Raises:
        UnknownNameError: Another form.
    """
    if form not in ("derived", "official"):
        raise unknown("form", form, ("derived", "official"))
    logp, old_logp = logp.detach(), old_logp.detach()
    prob = logp.exp().clamp(1e-8, 1.0 - 1e-8)
    weight = probability_ratio(logp, old_logp) * prob
    if form == "official":
        weight = prob / old_logp.exp().clamp(1e-8, 1.0)
    omega = weight * advantage * (1.0 - prob) * (logp + entropy.detach())
    if clipped is not None and form == "derived":
        omega = torch.where(clipped, 0.0, omega)
    return torch.nan_to_num(omega, nan=0.0, posinf=0.0, neginf=0.0)


def steer_weight(omega: Tensor, mask: Tensor, smallest: float = 0.8, floor: float = 0.0, form: str = "exponential",
                 largest: float = 1.2) -> Tensor:  # fmt: skip
    """Weights (B, T) that shrink with |Omega|, without gradient; 0 off the mask.

    exponential: exp(-alpha |Omega| / max |Omega|) with alpha = -log(smallest), so in [smallest, 1].
    linear: from `largest` at the smallest |Omega| down to `smallest` at the largest.

    Args:
        omega: (B, T).
        mask: (B, T); tokens off the mask never set the maximum.
        smallest: lambda_min in (0, 1].
        floor: Least value of the maximum in the exponential form; 0.02 in the released code, which so leaves quiet
            batches alone, 0 here as in the paper's formula. The linear form has none.
        form: "exponential" (paper) or "linear" (a switch of the code).
        largest: The linear form's other end.

    Raises:
        EnvzooError: A `smallest` outside (0, 1].
    """
    if not 0 < smallest <= 1:
        raise EnvzooError(f"the smallest weight of STEER lies in (0, 1], got {smallest}")
    size = torch.where(mask > 0, omega.detach().abs(), 0.0)
    top = size.max() if size.numel() else size.new_zeros(())
    if form == "exponential":
        top = top.clamp_min(floor)
        share = torch.where(top > 0, size / top.clamp_min(1e-30), 0.0)
        weight = torch.exp(math.log(smallest) * share).clamp(smallest, 1.0)
    elif form == "linear":
        low = torch.where(mask > 0, size, torch.inf).min()
        spread = top - low
        share = torch.where(spread > 0, (size - low) / spread.clamp_min(1e-30), 0.5)
        weight = largest - share * (largest - smallest)
    else:
        raise unknown("form", form, ("exponential", "linear"))
    return torch.where(mask > 0, weight, 0.0)


def steer_metrics(weight: Tensor, omega: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Mean weight (how much smaller the step became) and mean estimate."""
    return {"mean_weight": masked_mean(weight, mask), "entropy_change_estimate": -masked_mean(omega, mask)}
