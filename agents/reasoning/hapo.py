"""HAPO (arXiv 2509.16591): temperature, advantage and clipping as functions of each token's entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig
from envzoo.agents.spec import require
from envzoo.agents.text.losses.hapo import (
    EntropyScale,
    clip_bounds,
    entropy_scale,
    normalised_entropy,
    redistribute,
    sampling_temperature,
    token_group_mean,
)
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean, probability_ratio
from envzoo.agents.text.rollouts import Rollout


@dataclass(frozen=True)
class HAPOConfig(GRPOConfig):
    """Hyperparameters of HAPO; with its four components off, it is DAPO without dynamic sampling."""

    eps_high: float = 0.28
    """Upper bound where the adaptive clipping is off."""
    dual_clip: float | None = 10.0
    """As in the released code."""
    adaptive_temperature: bool = True
    """Component A: uncertain tokens are sampled hotter."""
    token_advantage: bool = True
    """Component B: advantages against the mean over the tokens of a group."""
    redistribution: bool = True
    """Component C: advantages of uncertain tokens that move grow, of confident ones that rest shrink."""
    adaptive_clipping: bool = True
    """Component D: clipping bounds by entropy."""
    rho: float = 0.8
    """Quantile of the log-entropies that divides confident from uncertain tokens."""
    tau: float = 0.05
    """Strength of A."""
    alpha: float = 1.0
    """Strength of D."""
    beta: float = 1.0
    """Strength of C."""
    base_eps: float = 0.2
    """Clipping that D starts from."""
    entropy_floor: float = 1e-3
    """Least entropy before the logarithm; 1e-8 in the released code, which lets one sure token set the scale."""
    official_sign: bool = False
    """Give the most confident tokens +1 instead of -1, as the released code does by a division by a negative number;
    off, because the paper says the opposite."""

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.rho <= 1, f"rho of HAPO lies in [0, 1], got {self.rho}")
        require(0 <= self.tau < 1, f"tau of HAPO lies in [0, 1), got {self.tau}")
        require(0 <= self.base_eps < 1, f"base_eps of HAPO lies in [0, 1), got {self.base_eps}")
        require(self.entropy_floor > 0, f"entropy_floor of HAPO is positive, got {self.entropy_floor}")
        for field in ("alpha", "beta"):
            require(getattr(self, field) >= 0, f"{field} of HAPO is not negative, got {getattr(self, field)}")
        require(
            self.group_size > 1 or not self.token_advantage,
            f"HAPO compares answers to the same prompt, so group_size is at least 2, got {self.group_size}",
        )


class HAPO(GRPO):
    """Treats every token by its entropy, in sampling, advantages and clipping."""

    Config = HAPOConfig
    config: HAPOConfig

    def first_memory(self) -> dict[str, Any]:
        """Also the scale of the entropies of the last update, once there is one."""
        return super().first_memory() | {"scale": []}

    def temperature_of(self) -> Any:
        """Component A, on the scale of the update before."""
        c = self.config
        if not c.adaptive_temperature or not self.memory["scale"]:
            return None
        scale = EntropyScale(*self.memory["scale"])
        return lambda entropy: sampling_temperature(
            normalised_entropy(entropy, scale, c.entropy_floor, c.official_sign), c.tau, c.temperature
        )

    def advantages(self, rollout: Rollout) -> Tensor:
        """Component B."""
        if not self.config.token_advantage:
            return super().advantages(rollout)
        advantage, fell_back = token_group_mean(rollout.reward, rollout.group, rollout.mask)
        self._fell_back = float(fell_back.float().mean())
        return advantage

    def select(self, rollout: Rollout) -> tuple[Rollout, dict[str, float]]:
        """All answers; tells how many rows B left to GRPO's advantages in the last generated rollout."""
        return rollout, ({"fallback_fraction": self._fell_back} if self.config.token_advantage else {})

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """The clipped surrogate with the bounds of D and the advantages of C."""
        c = self.config
        scale = entropy_scale(entropy, batch.mask, c.rho, c.entropy_floor)
        self.memory["scale"] = list(scale)
        h = normalised_entropy(entropy, scale, c.entropy_floor, c.official_sign)
        low: Any = c.eps_low
        high: Any = c.eps_high
        if c.adaptive_clipping:
            low, high = clip_bounds(h, c.base_eps, c.alpha)
        advantage = batch.advantage
        if c.redistribution:
            advantage = redistribute(advantage, probability_ratio(logp, batch.old_logp), h, low, high, c.beta)
        loss, clipped = ppo_clip_per_token(logp, batch.old_logp, advantage, low, high, c.dual_clip)
        changed = torch.where(batch.advantage != 0, advantage / batch.advantage, 1.0)
        return loss, {
            "clip_fraction": masked_mean(clipped.to(loss.dtype), batch.mask),
            "advantage_scale": masked_mean(changed, batch.mask),
        }
