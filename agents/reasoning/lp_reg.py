"""Lp-Reg (arXiv 2510.03222): keeps the probability of rare but sensible tokens from vanishing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from envzoo.agents.spec import require
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean, probability_ratio, top_mask
from envzoo.agents.text.method import Method
from envzoo.agents.text.rollouts import TextRollout
from envzoo.agents.text.trainer import TextAgent, TextConfig
from envzoo.errors import unknown

FILTERED = -1e4  # log-probability of a token that is filtered out


def min_p_log_prob(logits: Tensor, min_p: float = 0.02) -> Tensor:
    """Compute log-probabilities (..., V) of the min-p filtered softmax of logits (..., V); see `min_p_filter`."""
    return min_p_filter(torch.log_softmax(logits.detach(), -1), min_p)


def min_p_filter(log_prob: Tensor, min_p: float = 0.02) -> Tensor:
    """Compute the proxy log pi_proxy (..., V): pi without tokens below min_p max pi, renormalized (equation 5).

    Args:
        log_prob: (..., V), log pi.
        min_p: Threshold relative to the largest probability (kappa); 0 filters nothing.

    Returns:
        (..., V), -10000 for tokens that are filtered out.
    """
    log_prob = log_prob.detach()
    kept = log_prob >= log_prob.amax(-1, keepdim=True) + math.log(min_p) if min_p > 0 else log_prob > -torch.inf
    total = torch.where(kept, log_prob, -torch.inf).logsumexp(-1, keepdim=True)
    return torch.where(kept, log_prob - total, FILTERED)


def low_probability_gate(
    logp: Tensor, proxy_logp: Tensor, advantage: Tensor, mask: Tensor, rho: float = 0.01, gate: str = "code"
) -> Tensor:
    """Select tokens of negative advantage that are rare but not noise, bool (B, T).

    Args:
        logp: (B, T).
        proxy_logp: (B, T), log-probabilities of the sampled tokens under the proxy.
        advantage: (B, T).
        mask: (B, T).
        rho: Fraction of tokens that count as rare; 0 selects none.
        gate: "code": the rarest max(1, ceil(rho N)) of the N tokens of negative advantage, if their probability is
            below that under the proxy. This is the default, because the published results were obtained with it, and
            because it releases tokens that have recovered. (The released code selects nothing if rho N < 2; here it is
            one token.) "paper": tokens of negative advantage among the rarest max(1, ceil(rho N)) of all tokens, if the
            filter kept them.

    Raises:
        UnknownNameError: Another gate.
    """
    if gate not in ("code", "paper"):
        raise unknown("gate", gate, ("code", "paper"))
    logp, punished = logp.detach(), (advantage < 0) & (mask > 0)
    among = punished if gate == "code" else mask > 0
    rare = top_mask(logp, among, (rho * among.sum().double() - 1e-9).ceil(), largest=False)
    sensible = logp < proxy_logp if gate == "code" else proxy_logp > FILTERED / 2
    return rare & punished & sensible


def lp_reg(
    logp: Tensor,
    old_logp: Tensor,
    proxy_logp: Tensor,
    advantage: Tensor,
    mask: Tensor,
    rho: float = 0.01,
    beta: float = 1.0,
    eps_low: float = 1.0,
    eps_high: float = 9.0,
    gate: str = "code",
    bound: float = 10.0,
    bound_gradient: bool = False,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the surrogate with ratios clipped to [0, 10], plus beta k3(pi_proxy) on the gated tokens.

    Gated tokens have the unclipped surrogate. k3 = exp(d) - d - 1 with d = log pi_proxy - log pi has the gradient
    -(pi_proxy / pi - 1) with respect to log pi.

    Args:
        logp: (B, T).
        old_logp: (B, T).
        proxy_logp: (B, T), log-probabilities of the sampled tokens under the proxy of the sampling policy.
        advantage: (B, T).
        mask: (B, T).
        rho: See `low_probability_gate`.
        beta: Coefficient of k3.
        eps_low: Lower clipping range of the ratio; 1 for no lower bound.
        eps_high: Upper clipping range of the ratio.
        gate: See `low_probability_gate`.
        bound: Maximum of k3.
        bound_gradient: If true, clip the value as the released code does, which removes the gradient of the tokens
            furthest below the proxy. If false, the default, continue k3 linearly, so that their gradient is bounded but
            not 0.

    Returns:
        Loss (B, T), and metrics.
    """
    loss, clipped = ppo_clip_per_token(logp, old_logp, advantage, eps_low, eps_high)
    gated = low_probability_gate(logp, proxy_logp, advantage, mask, rho, gate)
    d = torch.where(gated, proxy_logp - logp, 0.0)
    if bound_gradient:
        d = d.clamp(-20.0, 20.0)
        pull = (torch.expm1(d) - d).clamp(-bound, bound)
    else:
        # Beyond the bound the value continues in a straight line of slope exp(log bound) - 1.
        edge = math.log(bound)
        inside = d.clamp(max=edge)
        pull = torch.expm1(inside) - inside + (bound - 1.0) * (d - edge).clamp(min=0.0)
    free = -advantage * probability_ratio(logp, old_logp)
    metrics = {
        "clip_fraction": masked_mean(clipped.to(mask.dtype), mask),
        "gated_fraction": masked_mean(gated.to(mask.dtype), mask),
        "proxy_fraction": masked_mean((proxy_logp > FILTERED / 2).to(mask.dtype), mask),
    }
    return torch.where(gated, free + beta * pull, loss), metrics


@dataclass(frozen=True)
class LpRegConfig(TextConfig):
    """Hyperparameters of Lp-Reg."""

    min_p: float = 0.02
    """Tokens whose probability is below this fraction of the largest count as noise (kappa); 0 filters nothing."""
    rho: float = 0.05
    """Fraction of the tokens that count as rare; 0.005 to 0.01 for large models."""
    beta: float = 1.0
    """Coefficient of the divergence from the filtered sampling policy."""
    eps_low: float = 1.0
    """Lower clipping range; 1 for no lower bound."""
    eps_high: float = 9.0
    """Upper clipping range."""
    gate: Literal["code", "paper"] = "code"
    """Whether rare means rare among the tokens of negative advantage ("code", as in the published runs) or among all
    tokens ("paper")."""
    bound_gradient: bool = False
    """Clip the value of the divergence at 10, as the released code does. This removes the gradient of the tokens
    furthest below the proxy."""

    def __post_init__(self):
        super().__post_init__()
        for field in ("min_p", "rho"):
            require(0 <= getattr(self, field) <= 1, f"{field} of LpReg lies in [0, 1], got {getattr(self, field)}")
        for field in ("beta", "eps_low", "eps_high"):
            require(getattr(self, field) >= 0, f"{field} of LpReg is not negative, got {getattr(self, field)}")


class LpRegMethod(Method):
    """The surrogate with the divergence from the filtered sampling policy, which `record` evaluates while sampling."""

    records = ("proxy_logp",)
    vectorizes = True

    def record(self, log_probs: Tensor, token: Tensor) -> dict[str, Tensor]:
        """Compute the log-probabilities of the sampled tokens under the proxy."""
        proxy = min_p_filter(log_probs, self.config.min_p)
        return {"proxy_logp": proxy.gather(-1, token[..., None]).squeeze(-1)}

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the surrogate, and the divergence on the gated tokens."""
        c = self.config
        return lp_reg(
            logp, batch.old_logp, batch.extras["proxy_logp"], batch.advantage, batch.mask,
            c.rho, c.beta, c.eps_low, c.eps_high, c.gate, bound_gradient=c.bound_gradient,
        )  # fmt: skip


class LpReg(TextAgent):
    """A loosely clipped surrogate that keeps rare tokens of negative advantage close to the filtered sampling policy.

    Minimizes the mean over tokens of

        max(-A r, -A clip(r, 1 - eps_low, 1 + eps_high)) + beta gate (exp(d) - d - 1),    d = log pi_proxy - log pi,

    where pi_proxy is the sampling policy without the tokens below min_p times its largest probability, renormalized.
    The gate is 1 for tokens of negative advantage that are rare under pi but kept by the filter; these are not clipped.

    Source: Huang et al. 2025 (arXiv 2510.03222), equations 4 to 6.

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
        policy/gated_fraction: Fraction of tokens with the divergence.
        policy/proxy_fraction: Fraction of tokens that the filter keeps.
    """

    Method = LpRegMethod
    Config = LpRegConfig
    config: LpRegConfig
