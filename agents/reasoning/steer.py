"""STEER (arXiv 2510.10150): weights that shrink where a token would change the entropy most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig
from envzoo.agents.spec import require
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.steer import entropy_change_estimate, steer_metrics, steer_weight
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.rollouts import Rollout


@dataclass(frozen=True)
class STEERConfig(GRPOConfig):
    """Hyperparameters of STEER."""

    eps_high: float = 0.28
    """As in the released scripts."""
    dual_clip: float | None = 10.0
    """As in the released scripts."""
    smallest_weight: float = 0.2
    """lambda_min; 0.8 in the released scripts, which hardly acts on short answers."""
    form: Literal["derived", "official"] = "derived"
    """Estimate of the entropy's change: the first-order one, or the released code's, which lacks a factor p."""
    weighting: Literal["exponential", "linear"] = "exponential"
    """How the weight falls with the estimate."""
    floor: float = 0.0
    """Least value of the largest estimate in the exponential weighting; 0.02 in the released code. The linear one has
    none."""

    def __post_init__(self):
        super().__post_init__()
        smallest = self.smallest_weight
        require(0 < smallest <= 1, f"smallest_weight of STEER lies in (0, 1], got {smallest}")
        require(self.floor >= 0, f"floor of STEER is not negative, got {self.floor}")


class STEER(GRPO):
    """Weighs each token's clipped surrogate by the estimated change of entropy, in either direction."""

    Config = STEERConfig
    config: STEERConfig

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted surrogate; the entropy in the estimate is that of the policy that wrote the answers."""
        c = self.config
        loss, clipped = ppo_clip_per_token(logp, batch.old_logp, batch.advantage, c.eps_low, c.eps_high, c.dual_clip)
        omega = entropy_change_estimate(logp, batch.old_logp, batch.advantage, batch.entropy, clipped, c.form)
        weight = steer_weight(omega, batch.mask, c.smallest_weight, c.floor, c.weighting)
        metrics = {"clip_fraction": masked_mean(clipped.to(loss.dtype), batch.mask)}
        return weight * loss, metrics | steer_metrics(weight, omega, batch.mask)
