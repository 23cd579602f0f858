"""The 80/20 rule (arXiv 2506.01939): train on the tokens of high entropy alone."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig, GRPOMethod
from envzoo.agents.spec import require
from envzoo.agents.text.losses.tokens import fork_token_mask, masked_mean
from envzoo.agents.text.rollouts import TextRollout


@dataclass(frozen=True)
class ForkTokensConfig(GRPOConfig):
    """Hyperparameters of the 80/20 rule."""

    share: float = 0.2
    """Fraction of the tokens, those of the highest entropy, that have a gradient."""

    def __post_init__(self):
        super().__post_init__()
        require(0 < self.share <= 1, f"share of ForkTokens lies in (0, 1], got {self.share}")


class ForkTokensMethod(GRPOMethod):
    """PPO's clipped surrogate, restricted to the tokens of the highest entropy."""

    vectorizes = True

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the clipped surrogate on forks; the other tokens still count in the mean."""
        loss, metrics = super().token_loss(logp, entropy, batch)
        forks = fork_token_mask(entropy, batch.mask, self.config.share)
        return loss * forks, metrics | {"fork_fraction": masked_mean(forks, batch.mask)}


class ForkTokens(GRPO):
    """GRPO with gradients from the fifth of the tokens with the highest entropy alone.

    Minimizes the mean over all tokens of

        1[H >= q] max(-A r, -A clip(r, 1 - eps_low, 1 + eps_high)),    q = (1 - share)-quantile of H in the minibatch.

    Source: Wang et al. 2025 (arXiv 2506.01939), equation 5.

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
        policy/fork_fraction: Fraction of tokens that are trained on.
    """

    Method = ForkTokensMethod
    Config = ForkTokensConfig
    config: ForkTokensConfig
