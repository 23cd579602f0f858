"""BAPO: clipping bounds that give rewarded tokens their share of the objective (arXiv 2510.18927)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from envzoo.errors import EnvzooError, unknown

SLACK = 1e-9


class Bounds(NamedTuple):
    """What was found: ratio bounds (not epsilons), the share of rewarded tokens there, and steps of the search."""

    low: float
    high: float
    share: float
    steps: int


def _terms(ratio: Tensor, advantage: Tensor, weight: Tensor, bound: Tensor, positive: bool, mode: str) -> Tensor:
    """Sum of the tokens' contributions for each of the bounds (K,), with rows of tokens (N,)."""
    ratio, size, bound = ratio[None], (weight * advantage.abs())[None], bound[:, None]
    effective = torch.minimum(ratio, bound) if positive else torch.maximum(ratio, bound)
    if mode == "grad":
        effective = torch.where((ratio < bound) if positive else (ratio > bound), ratio, 0.0)
    return (effective * size).sum(1)


def adaptive_bounds(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    mask: Tensor,
    target: float = 0.4,
    low: tuple[float, float] = (0.6, 0.9),
    high: tuple[float, float] = (1.2, 3.0),
    step_low: float = 0.02,
    step_high: float = 0.05,
    variant: str = "paper",
    mode: str = "value",
) -> Bounds:
    """Search for the bounds [c_low, c_high] of the ratio at which rewarded tokens reach their share.

    Both start at their lower ends and only rise, until the share is reached or both are at their upper ends. A token
    contributes weight |A| r_eff, with r_eff = min(r, c_high) for A > 0 and max(r, c_low) for A < 0.

    Args:
        logp: (B, T); used without gradient.
        old_logp: (B, T) of the policy that sampled.
        advantage: (B, T).
        mask: (B, T).
        target: rho_0: share of positive contributions in "paper", ratio of positive to negative ones in "code".
        low: Range of c_low.
        high: Range of c_high.
        step_low: Step of c_low (delta_2).
        step_high: Step of c_high (delta_1).
        variant: "paper" raises c_high first and weighs tokens by the sampling probability (the default: it is the
            published algorithm); "code" raises c_low first and weighs all tokens alike.
        mode: "value" as above; "grad" counts only tokens that keep a gradient. In "value", raising c_low makes the
            negative part larger, so it can never help to reach the target; in "grad" it does.

    Returns:
        The bounds; without any nonzero advantage, the lower ends.

    Raises:
        UnknownNameError: Another variant or mode.
        EnvzooError: Ranges that are not in order around 1, or steps that are not positive.
    """
    if variant not in ("paper", "code"):
        raise unknown("variant", variant, ("paper", "code"))
    if mode not in ("value", "grad"):
        raise unknown("mode", mode, ("value", "grad"))
    if not 0 <= low[0] <= low[1] <= 1 <= high[0] <= high[1]:
        raise EnvzooError(f"bounds of the ratio are ranges below and above 1, got low {low} and high {high}")
    if step_low <= 0 or step_high <= 0:
        raise EnvzooError(f"the steps of the bounds are positive, got {step_low} and {step_high}")
    valid = mask > 0
    ratio = (logp.detach() - old_logp).clamp(-20.0, 20.0).exp()[valid].double()
    adv = advantage.detach()[valid].double()
    weight = old_logp.detach()[valid].double().exp() if variant == "paper" else torch.ones_like(ratio)
    lows, highs = _ladder(*low, step_low, ratio.device), _ladder(*high, step_high, ratio.device)
    rewarded, punished = adv > 0, adv < 0
    gains = _terms(ratio[rewarded], adv[rewarded], weight[rewarded], highs, True, mode)
    losses = _terms(ratio[punished], adv[punished], weight[punished], lows, False, mode)
    # The path: one ladder up to its end, then the other.
    first, second = (highs, lows) if variant == "paper" else (lows, highs)
    up = torch.cat([torch.arange(len(first)), torch.full((len(second) - 1,), len(first) - 1)])
    then = torch.cat([torch.zeros(len(first), dtype=torch.int64), torch.arange(1, len(second))])
    i_high, i_low = (up, then) if variant == "paper" else (then, up)
    gain, loss = gains[i_high], losses[i_low]
    share = gain / (gain + loss).clamp_min(1e-30)
    measured = share if variant == "paper" else torch.where(loss > 0, gain / loss.clamp_min(1e-30), torch.inf)
    reached = (measured >= target - SLACK).nonzero().squeeze(1)
    stop = int(reached[0]) if reached.numel() else len(up) - 1
    if not bool(rewarded.any() | punished.any()):
        stop = 0
    return Bounds(float(lows[i_low[stop]]), float(highs[i_high[stop]]), float(share[stop]), stop)


def _ladder(first: float, last: float, step: float, device: torch.device) -> Tensor:
    """first, first + step, ..., last; the last step may be shorter."""
    steps = math.ceil((last - first) / step - 1e-9)
    values = [min(first + k * step, last) for k in range(steps)] + [last]
    return torch.tensor(values, dtype=torch.float64, device=device)
