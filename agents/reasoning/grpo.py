"""GRPO (arXiv 2402.03300), the basis of most other methods, also with an entropy bonus."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from envzoo.agents.spec import require
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.method import Method
from envzoo.agents.text.rollouts import TextRollout
from envzoo.agents.text.trainer import TextAgent, TextConfig
from envzoo.moved import former_names


@dataclass(frozen=True)
class GRPOConfig(TextConfig):
    """Hyperparameters of GRPO."""

    eps_low: float = 0.2
    """Lower clipping range: a token of negative advantage has no gradient if its ratio is below 1 - eps_low."""
    eps_high: float = 0.2
    """Upper clipping range: a token of positive advantage has no gradient if its ratio is above 1 + eps_high."""
    dual_clip: float | None = None
    """Maximum ratio of tokens of negative advantage (dual clipping); None for no limit."""

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__.removesuffix("Config")
        for field in ("eps_low", "eps_high"):
            require(getattr(self, field) >= 0, f"{field} of {name} is not negative, got {getattr(self, field)}")
        require(self.dual_clip is None or self.dual_clip > 1, f"dual_clip of {name} is above 1, got {self.dual_clip}")


class GRPOMethod(Method):
    """PPO's clipped surrogate with the advantages of the config."""

    vectorizes = True

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the clipped surrogate."""
        c = self.config
        loss, clipped = ppo_clip_per_token(logp, batch.old_logp, batch.advantage, c.eps_low, c.eps_high, c.dual_clip)
        return loss, {"clip_fraction": masked_mean(clipped.to(loss.dtype), batch.mask)}


class GRPO(TextAgent):
    """Group relative policy optimization: PPO's clipped objective with advantages within groups of answers.

    Minimizes the mean over all tokens of

        max(-A r, -A clip(r, 1 - eps_low, 1 + eps_high)),    r = pi / pi_old,    A = (R - mean_g R) / (std_g R + 1e-6),

    where mean_g and std_g are over the answers to the same prompt. There is no critic.

    Source: Shao et al. 2024 (arXiv 2402.03300), equations 1 and 3, with the mean over all tokens of Yu et al. 2025
    (arXiv 2503.14476) in place of that over answers; `aggregation="seq_mean_token_mean"` is the published form.

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
    """

    Method = GRPOMethod
    Config = GRPOConfig
    config: GRPOConfig


@dataclass(frozen=True)
class EntropyBonusConfig(GRPOConfig):
    """Hyperparameters of GRPO with an entropy bonus."""

    entropy_coefficient: float = 0.02
    """Coefficient of the entropy bonus; the default is for the tiny model, large models use 1e-4 to 1e-2."""


class EntropyBonus(GRPO):
    """GRPO with an entropy bonus.

    Minimizes the loss of GRPO minus

        entropy_coefficient * mean over tokens of H(pi(. | prefix)).

    Source: the usual baseline of the papers on entropy, for example Cui et al. 2025 (arXiv 2505.22617), section 4.1.

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
    """

    Config = EntropyBonusConfig


# Classes that were defined here in the first release.
__getattr__ = former_names(
    __name__,
    {
        **dict.fromkeys(("DrGRPO", "DrGRPOConfig"), "envzoo.agents.reasoning.dr_grpo"),
        **dict.fromkeys(("DAPO", "DAPOConfig", "ClipHigher", "ClipHigherConfig"), "envzoo.agents.reasoning.dapo"),
        **dict.fromkeys(("RLOO", "RLOOConfig"), "envzoo.agents.reasoning.rloo"),
        **dict.fromkeys(
            ("ReinforcePlusPlus", "ReinforcePlusPlusConfig"), "envzoo.agents.reasoning.reinforce_plus_plus"
        ),
        **dict.fromkeys(("GSPO", "GSPOConfig"), "envzoo.agents.reasoning.gspo"),
        **dict.fromkeys(("CISPO", "CISPOConfig"), "envzoo.agents.reasoning.cispo"),
        **dict.fromkeys(("ForkTokens", "ForkTokensConfig"), "envzoo.agents.reasoning.fork_tokens"),
    },
)
