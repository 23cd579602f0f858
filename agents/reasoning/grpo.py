"""GRPO and the methods that differ from it in a setting."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from envzoo.agents.spec import require
from envzoo.agents.text.losses.policy import cispo, gspo, ppo_clip_per_token, reinforce
from envzoo.agents.text.losses.tokens import fork_token_mask, masked_mean
from envzoo.agents.text.rollouts import Rollout
from envzoo.agents.text.trainer import TextAgent, TextConfig


@dataclass(frozen=True)
class GRPOConfig(TextConfig):
    """Hyperparameters of GRPO (Shao et al. 2024), with the mean over all tokens of later work."""

    eps_low: float = 0.2
    """A token loses its gradient where it is punished and its probability has fallen below 1 - eps_low of the old."""
    eps_high: float = 0.2
    """Likewise where it is rewarded and its probability has risen above 1 + eps_high of the old."""
    dual_clip: float | None = None
    """Largest ratio that counts for punished tokens; None for no limit."""

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__.removesuffix("Config")
        for field in ("eps_low", "eps_high"):
            require(getattr(self, field) >= 0, f"{field} of {name} is not negative, got {getattr(self, field)}")
        require(self.dual_clip is None or self.dual_clip > 1, f"dual_clip of {name} is above 1, got {self.dual_clip}")


class GRPO(TextAgent):
    """PPO's clipped objective with advantages against the other answers to the same prompt, and no critic."""

    Config = GRPOConfig
    config: GRPOConfig

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """The clipped surrogate."""
        c = self.config
        loss, clipped = ppo_clip_per_token(logp, batch.old_logp, batch.advantage, c.eps_low, c.eps_high, c.dual_clip)
        return loss, {"clip_fraction": masked_mean(clipped.to(loss.dtype), batch.mask)}


@dataclass(frozen=True)
class DrGRPOConfig(GRPOConfig):
    """Hyperparameters of Dr. GRPO: no standard deviation, and a constant instead of the answers' lengths."""

    advantage: str = "dr_grpo"
    """R - mean of the group."""
    aggregation: str = "seq_mean_token_sum_norm"
    """Sum over tokens, over the number of answers times the longest length."""


class DrGRPO(GRPO):
    """GRPO without its two biases: towards easy or hard prompts, and towards long wrong answers."""

    Config = DrGRPOConfig


@dataclass(frozen=True)
class DAPOConfig(GRPOConfig):
    """Hyperparameters of DAPO; the overlong punishment is off by default, as answers here are short."""

    eps_high: float = 0.28
    """Clip-higher."""
    dual_clip: float | None = 10.0
    """As in the released scripts."""
    dynamic_sampling: bool = True
    """Prompts whose answers are all right or all wrong are replaced."""


class DAPO(GRPO):
    """GRPO with clip-higher, the mean over tokens, dynamic sampling and (by `overlong_buffer`) a length punishment."""

    Config = DAPOConfig


@dataclass(frozen=True)
class ClipHigherConfig(GRPOConfig):
    """Hyperparameters of GRPO with clip-higher alone."""

    eps_high: float = 0.28
    """Room for rare tokens to rise."""


class ClipHigher(GRPO):
    """GRPO with a larger upper bound, so that rare tokens can rise further."""

    Config = ClipHigherConfig


@dataclass(frozen=True)
class EntropyBonusConfig(GRPOConfig):
    """Hyperparameters of GRPO with an entropy bonus."""

    entropy_coefficient: float = 0.02
    """Weight of the bonus, for the tiny model; large models take 1e-4 to 1e-2."""


class EntropyBonus(GRPO):
    """GRPO with the mean entropy of the tokens added to the objective."""

    Config = EntropyBonusConfig


@dataclass(frozen=True)
class RLOOConfig(TextConfig):
    """Hyperparameters of RLOO."""

    advantage: str = "rloo"
    """The reward less the mean of the other answers' rewards."""
    aggregation: str = "seq_mean_token_sum"
    """An answer's log-probability is the sum over its tokens."""


class RLOO(TextAgent):
    """REINFORCE with the mean of the other answers as baseline; it takes no ratio to the old policy."""

    Config = RLOOConfig

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """-A log pi."""
        return reinforce(logp, batch.advantage), {}


@dataclass(frozen=True)
class ReinforcePlusPlusConfig(GRPOConfig):
    """Hyperparameters of REINFORCE++; its variant with a baseline is advantage="reinforce_plus_plus_baseline"."""

    advantage: str = "reinforce_plus_plus"
    """Rewards whitened over the tokens of the whole batch."""


class ReinforcePlusPlus(GRPO):
    """The clipped objective with advantages whitened over the batch instead of the group."""

    Config = ReinforcePlusPlusConfig


@dataclass(frozen=True)
class GSPOConfig(TextConfig):
    """Hyperparameters of GSPO; the bounds are the paper's, meant for long answers."""

    eps_low: float = 3e-4
    """Lower bound of an answer's ratio, as a distance from 1."""
    eps_high: float = 4e-4
    """Upper bound."""
    aggregation: str = "seq_mean_token_mean"
    """Answers weigh alike, whatever their lengths."""


class GSPO(TextAgent):
    """Ratios of whole answers (the geometric mean of their tokens') instead of tokens."""

    Config = GSPOConfig
    config: GSPOConfig

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """The clipped surrogate of the sequence ratio."""
        c = self.config
        loss, clipped = gspo(logp, batch.old_logp, batch.advantage, batch.mask, c.eps_low, c.eps_high)
        return loss, {"clip_fraction": masked_mean(clipped.to(loss.dtype), batch.mask)}


@dataclass(frozen=True)
class CISPOConfig(TextConfig):
    """Hyperparameters of CISPO."""

    eps_low: float = 1.0
    """Weights are at least 1 - eps_low; 1 for no lower bound, as in the paper."""
    eps_high: float = 4.0
    """Weights are at most 1 + eps_high."""


class CISPO(TextAgent):
    """REINFORCE with clipped importance weights, so that no token loses its gradient."""

    Config = CISPOConfig
    config: CISPOConfig

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Clipped weight times -A log pi."""
        loss, bounded = cispo(logp, batch.old_logp, batch.advantage, self.config.eps_low, self.config.eps_high)
        return loss, {"clip_fraction": masked_mean(bounded.to(loss.dtype), batch.mask)}


@dataclass(frozen=True)
class ForkTokensConfig(GRPOConfig):
    """Hyperparameters of the 80/20 rule."""

    share: float = 0.2
    """Share of tokens, those of the highest entropy, that carry the gradient."""

    def __post_init__(self):
        super().__post_init__()
        require(0 < self.share <= 1, f"share of ForkTokens lies in (0, 1], got {self.share}")


class ForkTokens(GRPO):
    """GRPO whose gradient comes from the fifth of the tokens with the highest entropy alone."""

    Config = ForkTokensConfig
    config: ForkTokensConfig

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """The clipped surrogate on forks; the other tokens still count in the mean."""
        loss, metrics = super().token_loss(logp, entropy, batch)
        forks = fork_token_mask(entropy, batch.mask, self.config.share)
        return loss * forks, metrics | {"fork_fraction": masked_mean(forks, batch.mask)}
