"""STEER (arXiv 2510.10150): weights that decrease with the estimated change of entropy by each token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig, GRPOMethod
from envzoo.agents.spec import require
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean, probability_ratio
from envzoo.agents.text.rollouts import TextRollout
from envzoo.errors import EnvzooError, unknown


def entropy_change_estimate(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    entropy: Tensor,
    clipped: Tensor | None = None,
    form: str = "derived",
) -> Tensor:
    """Estimate Omega (B, T): an update of a token alone changes the entropy of its distribution by about -eta Omega.

    If only the logit of the sampled token moves, by eta r A (1 - p), the entropy changes by
    -eta r A p (1 - p)(log p + H) to first order. So tokens with p > exp(-H) lower the entropy when they are rewarded.

    Args:
        logp: (B, T), log p.
        old_logp: (B, T).
        advantage: (B, T).
        entropy: (B, T), H of the distribution the token was drawn from.
        clipped: Bool (B, T), tokens without a gradient; their estimate is 0.
        form: "derived" is the formula above; "official" is that of the released code, which lacks one factor p and
            ignores clipping, so that rare tokens have a much larger estimate.

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
    """Compute weights (B, T) that decrease with |Omega|, without gradient; 0 off the mask.

    exponential: exp(-alpha |Omega| / max |Omega|) with alpha = -log(smallest), so in [smallest, 1].
    linear: from `largest` at the smallest |Omega| down to `smallest` at the largest.

    Args:
        omega: (B, T).
        mask: (B, T); tokens off the mask do not count in the maximum.
        smallest: lambda_min in (0, 1].
        floor: Lower bound of the maximum in the exponential form: 0.02 in the released code, which leaves batches of
            small estimates unchanged; 0 in the paper and by default. The linear form has none.
        form: "exponential" (paper) or "linear" (an option of the released code).
        largest: Weight of the smallest estimate in the linear form.

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
    """Compute the mean weight and the estimated change of the entropy."""
    return {"mean_weight": masked_mean(weight, mask), "entropy_change_estimate": -masked_mean(omega, mask)}


@dataclass(frozen=True)
class STEERConfig(GRPOConfig):
    """Hyperparameters of STEER."""

    eps_high: float = 0.28
    """Upper clipping range; the default is that of the released scripts."""
    dual_clip: float | None = 10.0
    """Maximum ratio of tokens of negative advantage; the default is that of the released scripts."""
    smallest_weight: float = 0.2
    """Smallest weight (lambda_min). The released scripts use 0.8, which has little effect on short answers."""
    form: Literal["derived", "official"] = "derived"
    """Estimate of the change of entropy: "derived" is first-order, "official" that of the released code, which lacks a
    factor p."""
    weighting: Literal["exponential", "linear"] = "exponential"
    """How the weight decreases with the estimate."""
    floor: float = 0.0
    """Lower bound of the largest estimate in the exponential weighting; the released code uses 0.02. The linear
    weighting has none."""

    def __post_init__(self):
        super().__post_init__()
        smallest = self.smallest_weight
        require(0 < smallest <= 1, f"smallest_weight of STEER lies in (0, 1], got {smallest}")
        require(self.floor >= 0, f"floor of STEER is not negative, got {self.floor}")


class STEERMethod(GRPOMethod):
    """PPO's clipped surrogate, weighted by the estimated change of the entropy."""

    reads_entropy = True
    vectorizes = True

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the weighted surrogate; the estimate uses the entropy of the sampling policy."""
        c = self.config
        loss, clipped = ppo_clip_per_token(logp, batch.old_logp, batch.advantage, c.eps_low, c.eps_high, c.dual_clip)
        omega = entropy_change_estimate(logp, batch.old_logp, batch.advantage, batch.entropy, clipped, c.form)
        weight = steer_weight(omega, batch.mask, c.smallest_weight, c.floor, c.weighting)
        metrics = {"clip_fraction": masked_mean(clipped.to(loss.dtype), batch.mask)}
        return weight * loss, metrics | steer_metrics(weight, omega, batch.mask)


class STEER(GRPO):
    """GRPO with smaller weights on tokens that would change the entropy more, in either direction.

    Minimizes the mean over tokens of w max(-A r, -A clip(r, 1 - eps_low, 1 + eps_high)) with

        w = smallest_weight^(|Omega| / max |Omega|),    Omega = r A p (1 - p) (log p + H),

    where p is the probability of the token and H the entropy of the distribution it was sampled from.

    Source: Hao et al. 2025 (arXiv 2510.10150), with the first-order estimate derived from its theorem; the weights are
    those of the paper.

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
        policy/mean_weight: Mean of w, by which the update becomes smaller.
        policy/entropy_change_estimate: Mean of -Omega, the estimated change of entropy per unit of step size.
    """

    Method = STEERMethod
    Config = STEERConfig
    config: STEERConfig
