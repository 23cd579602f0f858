"""BAPO (arXiv 2510.18927): clipping bounds that follow the balance of rewarded and punished tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from envzoo.agents.spec import require
from envzoo.agents.text.losses.bapo import adaptive_bounds
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.rollouts import Rollout
from envzoo.agents.text.trainer import TextAgent, TextConfig

MOST_STEPS = 10_000  # of the search for the bounds, which runs in every minibatch


@dataclass(frozen=True)
class BAPOConfig(TextConfig):
    """Hyperparameters of BAPO; the bounds are those of ratios, not distances from 1."""

    num_epochs: int = 4
    """Passes over a rollout; with one on-policy step there is nothing to balance."""
    target: float = 0.4
    """Share of the objective that rewarded tokens are to reach (rho_0); in the variant "code", of the punished part."""
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
    """The published algorithm, or the released code: lower bound first, no weights, a ratio for a share, dual clip."""
    mode: Literal["value", "grad"] = "value"
    """Count what tokens contribute to the objective, or only those that keep a gradient."""
    dual_clip: float = 3.0
    """Largest ratio of punished tokens, in the variant "code" only."""

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


class BAPO(TextAgent):
    """Widens the window of each minibatch until rewarded tokens carry their share."""

    Config = BAPOConfig
    config: BAPOConfig

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """The clipped surrogate with the bounds that were found."""
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
