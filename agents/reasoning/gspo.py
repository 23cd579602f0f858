"""GSPO (arXiv 2507.18071): importance ratios of whole answers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from envzoo.agents.text.losses.policy import gspo
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.method import Method
from envzoo.agents.text.rollouts import TextRollout
from envzoo.agents.text.trainer import TextAgent, TextConfig


@dataclass(frozen=True)
class GSPOConfig(TextConfig):
    """Hyperparameters of GSPO; the clipping ranges are those of the paper, which are meant for long answers."""

    eps_low: float = 3e-4
    """Lower clipping range of the ratio of an answer."""
    eps_high: float = 4e-4
    """Upper clipping range of the ratio of an answer."""
    aggregation: str = "seq_mean_token_mean"
    """Aggregation of the loss per token; the default gives all answers the same weight, whatever their length."""


class GSPOMethod(Method):
    """PPO's clipped surrogate with one probability ratio per answer."""

    vectorizes = True

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the clipped surrogate of the sequence ratio."""
        c = self.config
        loss, clipped = gspo(logp, batch.old_logp, batch.advantage, batch.mask, c.eps_low, c.eps_high)
        return loss, {"clip_fraction": masked_mean(clipped.to(loss.dtype), batch.mask)}


class GSPO(TextAgent):
    """Group sequence policy optimization: GRPO with one importance ratio per answer.

    Minimizes the mean over answers of

        max(-A s, -A clip(s, 1 - eps_low, 1 + eps_high)),    s = exp(mean over tokens of log pi - log pi_old).

    Source: Zheng et al. 2025 (arXiv 2507.18071), equations 5 and 7; the loss is its form per token (equation 13).

    Metrics:
        policy/clip_fraction: Fraction of tokens in answers whose gradient is removed by clipping.
    """

    Method = GSPOMethod
    Config = GSPOConfig
    config: GSPOConfig
