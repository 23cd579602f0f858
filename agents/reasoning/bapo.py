"""BAPO (arXiv 2510.18927): clipping bounds that balance tokens of positive and negative advantage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from envzoo.agents.spec import require
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.method import Method
from envzoo.agents.text.rollouts import TextRollout
from envzoo.agents.text.trainer import TextAgent, TextConfig
from envzoo.errors import EnvzooError, unknown

MOST_STEPS = 10_000  # of the search for the bounds, which runs in every minibatch
SLACK = 1e-9


class Bounds(NamedTuple):
    """Result of the search for the clipping bounds.

    Attributes:
        low: Lower bound of the ratio.
        high: Upper bound of the ratio.
        share: Contribution of the tokens of positive advantage at these bounds, as a fraction of the total.
        steps: Steps of the search.
    """

    low: float
    high: float
    share: float
    steps: int


def _terms(ratio: Tensor, advantage: Tensor, weight: Tensor, bound: Tensor, positive: bool, mode: str) -> Tensor:
    """Sum the contributions of tokens (N,) for each of the bounds (K,)."""
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
    """Search for ratio bounds [c_low, c_high] at which tokens of positive advantage contribute a target share.

    Both bounds start at the lower ends of their ranges and only increase, until the share is reached or both are at
    their upper ends. A token contributes weight |A| r_eff, with r_eff = min(r, c_high) for A > 0 and max(r, c_low) for
    A < 0.

    Args:
        logp: (B, T); used without gradient.
        old_logp: (B, T), under the sampling policy.
        advantage: (B, T).
        mask: (B, T).
        target: rho_0: share of positive contributions in "paper", ratio of positive to negative contributions in
            "code".
        low: Range of c_low.
        high: Range of c_high.
        step_low: Step of c_low (delta_2).
        step_high: Step of c_high (delta_1).
        variant: "paper", the default, raises c_high first and weights tokens by their sampling probability; "code"
            raises c_low first and gives all tokens the same weight.
        mode: "value" as above; "grad" counts only tokens that keep a gradient. In "value", raising c_low makes the
            negative part larger, so it can never help to reach the target; in "grad" it does.

    Returns:
        The bounds; the lower ends if all advantages are 0.

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
    """Return first, first + step, ..., last; the last step may be shorter."""
    steps = math.ceil((last - first) / step - 1e-9)
    values = [min(first + k * step, last) for k in range(steps)] + [last]
    return torch.tensor(values, dtype=torch.float64, device=device)


@dataclass(frozen=True)
class BAPOConfig(TextConfig):
    """Hyperparameters of BAPO; the bounds are bounds of the ratio, not distances from 1."""

    num_epochs: int = 4
    """Passes over a rollout; with a single on-policy step there is nothing to balance."""
    target: float = 0.4
    """Target share of the tokens of positive advantage in the objective (rho_0); with variant "code", the target ratio
    of their contribution to that of the tokens of negative advantage."""
    low_first: float = 0.6
    """Lower bound at the start of the search."""
    low_last: float = 0.9
    """Lower bound at its end."""
    high_first: float = 1.2
    """Upper bound at the start of the search."""
    high_last: float = 3.0
    """Upper bound at its end."""
    step_low: float = 0.02
    """Step of the lower bound."""
    step_high: float = 0.05
    """Step of the upper bound."""
    variant: Literal["paper", "code"] = "paper"
    """"paper" is the published algorithm; "code" is the released code, which raises the lower bound first, does not
    weight tokens, uses a ratio instead of a share, and has dual clipping."""
    mode: Literal["value", "grad"] = "value"
    """"value" counts the contributions of all tokens, "grad" only those of tokens that keep a gradient."""
    dual_clip: float = 3.0
    """Maximum ratio of tokens of negative advantage, with variant "code" only."""

    def __post_init__(self):
        super().__post_init__()
        ordered = 0 <= self.low_first <= self.low_last <= 1 <= self.high_first <= self.high_last
        require(
            ordered,
            "the bounds of BAPO are in order around 1, got "
            f"{self.low_first}, {self.low_last}, {self.high_first}, {self.high_last}",
        )
        for field in ("step_low", "step_high"):
            require(getattr(self, field) > 0, f"{field} of BAPO is positive, got {getattr(self, field)}")
        steps = ((self.low_last - self.low_first) / self.step_low) + (self.high_last - self.high_first) / self.step_high
        require(
            steps <= MOST_STEPS,
            f"the bounds of BAPO are searched in {steps:g} steps; expected at most {MOST_STEPS}, by larger steps or "
            "narrower bounds",
        )
        require(self.target >= 0, f"target of BAPO is not negative, got {self.target}")
        require(self.dual_clip > 1, f"dual_clip of BAPO is above 1, got {self.dual_clip}")


class BAPOMethod(Method):
    """PPO's clipped surrogate with bounds that are searched for in each minibatch."""

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the clipped surrogate with the bounds that the search finds."""
        c = self.config
        bounds = adaptive_bounds(
            logp, batch.old_logp, batch.advantage, batch.mask, c.target, (c.low_first, c.low_last),
            (c.high_first, c.high_last), c.step_low, c.step_high, c.variant, c.mode,
        )  # fmt: skip
        dual = c.dual_clip if c.variant == "code" else None
        loss, clipped = ppo_clip_per_token(
            logp, batch.old_logp, batch.advantage, 1.0 - bounds.low, bounds.high - 1.0, dual
        )
        found = {"low": bounds.low, "high": bounds.high, "share": bounds.share, "moved": float(bounds.steps > 0)}
        metrics = {name: torch.tensor(value) for name, value in found.items()}
        return loss, metrics | {"clip_fraction": masked_mean(clipped.to(loss.dtype), batch.mask)}


class BAPO(TextAgent):
    """Balanced policy optimization: widens the clipping until tokens of positive advantage contribute their share.

    Minimizes the mean over tokens of max(-A r, -A clip(r, c_low, c_high)), with the smallest bounds for which

        sum over A > 0 of pi_old A min(r, c_high)
            >= target * sum over all tokens of pi_old |A| r_eff,    r_eff = min(r, c_high) if A > 0 else max(r, c_low).

    Source: Xi et al. 2025 (arXiv 2510.18927), algorithm 1.

    Metrics:
        policy/low, policy/high: The bounds c_low and c_high.
        policy/share: Share of the tokens of positive advantage at these bounds.
        policy/moved: Fraction of minibatches in which a bound left the lower end of its range.
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
    """

    Method = BAPOMethod
    Config = BAPOConfig
    config: BAPOConfig
