"""Lp-Reg (arXiv 2510.03222): keeps rare but sensible tokens alive while they are being punished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from envzoo.agents.spec import require
from envzoo.agents.text.losses.lp_reg import lp_reg
from envzoo.agents.text.rollouts import Rollout
from envzoo.agents.text.trainer import TextAgent, TextConfig


@dataclass(frozen=True)
class LpRegConfig(TextConfig):
    """Hyperparameters of Lp-Reg."""

    min_p: float = 0.02
    """Tokens below this share of the largest probability count as noise (kappa); 0 filters nothing."""
    rho: float = 0.05
    """Share of the tokens that count as rare; 0.005 to 0.01 for large models."""
    beta: float = 1.0
    """Weight of the pull towards the filtered sampling policy."""
    eps_low: float = 1.0
    """Ratios are at least 1 - eps_low."""
    eps_high: float = 9.0
    """Ratios are at most 1 + eps_high."""
    gate: Literal["code", "paper"] = "code"
    """Rare among the punished tokens, as the published runs have it, or among all."""
    bound_gradient: bool = False
    """Cut the pull's value at 10 as the released code does, which frees the tokens that need it most."""

    def __post_init__(self):
        super().__post_init__()
        for field in ("min_p", "rho"):
            require(0 <= getattr(self, field) <= 1, f"{field} of LpReg lies in [0, 1], got {getattr(self, field)}")
        for field in ("beta", "eps_low", "eps_high"):
            require(getattr(self, field) >= 0, f"{field} of LpReg is not negative, got {getattr(self, field)}")


class LpReg(TextAgent):
    """A loosely clipped surrogate, and a pull of rare punished tokens towards the policy without its noise."""

    Config = LpRegConfig
    config: LpRegConfig

    @property
    def kappa(self) -> float:
        """The threshold of the proxy, which the sampler records."""
        return self.config.min_p

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """The surrogate and the pull."""
        c = self.config
        return lp_reg(
            logp, batch.old_logp, batch.proxy_logp, batch.advantage, batch.mask,
            c.rho, c.beta, c.eps_low, c.eps_high, c.gate, bound_gradient=c.bound_gradient,
        )  # fmt: skip
