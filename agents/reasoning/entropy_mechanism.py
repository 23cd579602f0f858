"""Clip-Cov and KL-Cov (Cui et al. 2025, arXiv 2505.22617)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from envzoo.agents.spec import require
from envzoo.agents.text.losses.covariance import clip_cov, kl_cov
from envzoo.agents.text.losses.kl import KL_ESTIMATORS
from envzoo.agents.text.rollouts import Rollout
from envzoo.agents.text.trainer import TextAgent, TextConfig
from envzoo.errors import unknown


@dataclass(frozen=True)
class ClipCovConfig(TextConfig):
    """Hyperparameters of Clip-Cov; the released scripts take a share of 2e-4, which here would be one token."""

    fraction: float = 0.02
    """Share of the tokens that lose their gradient."""
    low: float = 1.0
    """Smallest covariance of a candidate."""
    high: float = 5.0
    """Largest covariance of a candidate."""
    low_quantile: float | None = 0.9
    """A quantile of the covariances instead of `low`, since those of short answers hardly reach 1; None for `low`."""
    eps_low: float = 1.0
    """PPO's clipping; 1 and 1 let ratios up to 2 pass, as in the released scripts."""
    eps_high: float = 1.0
    """Likewise."""

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.fraction <= 1, f"fraction of ClipCov lies in [0, 1], got {self.fraction}")
        quantile = self.low_quantile
        require(quantile is None or 0 <= quantile <= 1, f"low_quantile of ClipCov lies in [0, 1], got {quantile}")
        require(self.low < self.high, f"low of ClipCov is below high, got {self.low} and {self.high}")


class ClipCov(TextAgent):
    """Learns nothing from a few random tokens among those whose log-probability covaries most with the advantage.

    They are detached: their loss is 0 in the gradient. All other tokens are learned from as in PPO.
    """

    Config = ClipCovConfig
    config: ClipCovConfig

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """PPO's loss, 0 on the drawn tokens."""
        c = self.config
        generator = self.streams.torch("clip_cov")
        return clip_cov(
            logp, batch.old_logp, batch.advantage, batch.mask, generator,
            c.fraction, c.low, c.high, c.low_quantile, c.eps_low, c.eps_high,
        )  # fmt: skip


@dataclass(frozen=True)
class KLCovConfig(TextConfig):
    """Hyperparameters of KL-Cov; the released scripts take a share of 2e-3 (7B) or 2e-4 (32B)."""

    fraction: float = 0.1
    """Share of the tokens with a penalty."""
    beta: float = 3.0
    """Weight of the penalty; 1 in the released scripts."""
    penalty: str = "absolute"
    """The penalty: "absolute" is |log ratio|, which acts once the policy has moved; or k2, k3."""

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.fraction <= 1, f"fraction of KLCov lies in [0, 1], got {self.fraction}")
        require(self.beta >= 0, f"beta of KLCov is not negative, got {self.beta}")
        if self.penalty not in KL_ESTIMATORS:
            raise unknown("penalty", self.penalty, KL_ESTIMATORS)


class KLCov(TextAgent):
    """Holds the tokens whose covariance with the advantage is largest to the policy that wrote them."""

    Config = KLCovConfig
    config: KLCovConfig

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """The unclipped surrogate, with the penalty on the chosen tokens."""
        c = self.config
        return kl_cov(logp, batch.old_logp, batch.advantage, batch.mask, c.fraction, c.beta, c.penalty)
