"""Lp-Reg: rare tokens that are being punished are held to a filtered copy of the sampling policy (arXiv 2510.03222)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean, probability_ratio, top_mask
from envzoo.errors import unknown

FILTERED = -1e4  # log-probability of a token that the filter took out


def min_p_log_prob(logits: Tensor, kappa: float = 0.02) -> Tensor:
    """The proxy: log pi_proxy (..., V), pi without the tokens below kappa max pi, renormalised (equation 5).

    Tokens that are taken out get -10000.
    """
    log_prob = torch.log_softmax(logits.detach(), -1)
    kept = log_prob >= log_prob.amax(-1, keepdim=True) + math.log(kappa) if kappa > 0 else log_prob > -torch.inf
    total = torch.where(kept, log_prob, -torch.inf).logsumexp(-1, keepdim=True)
    return torch.where(kept, log_prob - total, FILTERED)


def low_probability_gate(
    logp: Tensor, proxy_logp: Tensor, advantage: Tensor, mask: Tensor, rho: float = 0.01, gate: str = "code"
) -> Tensor:
    """Bool (B, T): punished tokens that are rare, but not noise.

    Args:
        logp: (B, T).
        proxy_logp: (B, T), of the sampled tokens.
        advantage: (B, T).
        mask: (B, T).
        rho: Share of tokens that count as rare; 0 gives none.
        gate: "code": the rarest max(1, ceil(rho N)) of the N punished tokens, where the policy lies below the proxy
            (the default: it is what the published numbers were run with, and it lets go of tokens that have recovered;
            the released code selects nothing when rho N < 2, here it is one token). "paper": punished tokens among the
            rarest max(1, ceil(rho N)) of all tokens, that the filter kept.

    Raises:
        UnknownNameError: Another gate.
    """
    if gate not in ("code", "paper"):
        raise unknown("gate", gate, ("code", "paper"))
    logp, punished = logp.detach(), (advantage < 0) & (mask > 0)
    among = punished if gate == "code" else mask > 0
    rare = top_mask(logp, among, math.ceil(rho * int(among.sum()) - 1e-9), largest=False)
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
    """The surrogate with ratios clipped to [0, 10], plus beta k3(pi_proxy) on the gated tokens.

    Gated tokens take the unclipped surrogate. k3 = exp(d) - d - 1 with d = log pi_proxy - log pi pulls the token up
    with the force pi_proxy / pi - 1.

    Args:
        logp: (B, T).
        old_logp: (B, T).
        proxy_logp: (B, T), from `min_p_log_prob` of the sampling policy.
        advantage: (B, T).
        mask: (B, T).
        rho: See `low_probability_gate`.
        beta: Weight of the pull.
        eps_low: Clipping of the ratio; 1 means no lower bound.
        eps_high: 9 means at most 10.
        gate: See `low_probability_gate`.
        bound: Largest value of k3.
        bound_gradient: True bounds the value as the released code does, which leaves the tokens furthest below the
            proxy without a gradient. False, the default, bounds d instead, so that they keep a bounded pull.

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
        # The value beyond the bound goes on in a straight line: slope exp(log bound) - 1.
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
