"""CISPO (arXiv 2506.13585): REINFORCE with clipped importance weights."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from envzoo.agents.text.losses.policy import cispo
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.method import Method
from envzoo.agents.text.rollouts import TextRollout
from envzoo.agents.text.trainer import TextAgent, TextConfig


@dataclass(frozen=True)
class CISPOConfig(TextConfig):
    """Hyperparameters of CISPO."""

    eps_low: float = 1.0
    """Weights are at least 1 - eps_low; 1 for no lower bound, as in the paper."""
    eps_high: float = 4.0
    """Weights are at most 1 + eps_high."""


class CISPOMethod(Method):
    """REINFORCE with clipped importance weights."""

    vectorizes = True

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the clipped weight times -A log pi."""
        loss, bounded = cispo(logp, batch.old_logp, batch.advantage, self.config.eps_low, self.config.eps_high)
        return loss, {"clip_fraction": masked_mean(bounded.to(loss.dtype), batch.mask)}


class CISPO(TextAgent):
    """REINFORCE with clipped importance weights, so that every token keeps its gradient.

    Minimizes the mean over tokens of

        -stop_gradient(clip(r, 1 - eps_low, 1 + eps_high)) A log pi,    r = pi / pi_old.

    Source: MiniMax 2025 (arXiv 2506.13585), equations 4 and 5.

    Metrics:
        policy/clip_fraction: Fraction of tokens whose weight is clipped.
    """

    Method = CISPOMethod
    Config = CISPOConfig
    config: CISPOConfig
