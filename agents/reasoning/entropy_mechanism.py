"""Clip-Cov, KL-Cov and the entropy law of "The Entropy Mechanism" (Cui et al. 2025, arXiv 2505.22617)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.spec import require
from envzoo.agents.text.losses.kl import KL_ESTIMATORS
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean, masked_quantile, probability_ratio, top_mask
from envzoo.agents.text.method import Method
from envzoo.agents.text.rollouts import TextRollout
from envzoo.agents.text.trainer import TextAgent, TextConfig
from envzoo.errors import unknown


def token_covariance(logp: Tensor, advantage: Tensor, mask: Tensor) -> Tensor:
    """Compute (log pi - mean log pi)(A - mean A) per token (B, T), without gradient; 0 off the mask.

    The means are over the mask. The mean of the result is the covariance that determines the change of entropy: to
    first order, a natural-gradient step eta A on the logits changes the entropy by -eta Cov(log pi, A).
    """
    logp, advantage = logp.detach(), advantage.detach()
    product = (logp - masked_mean(logp, mask)) * (advantage - masked_mean(advantage, mask))
    return torch.where(mask > 0, product, 0.0)


def clip_cov(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    mask: Tensor,
    generator: torch.Generator | Tensor,
    fraction: float = 2e-4,
    low: float = 1.0,
    high: float = 5.0,
    low_quantile: float | None = None,
    eps_low: float = 1.0,
    eps_high: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute PPO's loss, and detach randomly chosen tokens of high covariance from the gradient.

    Candidates are the unclipped tokens with low < covariance < high. The loss of max(1, int(fraction N)) of them,
    chosen without replacement, is 0; they still count in a mean over tokens. The defaults are those of the released 7B
    script.

    Args:
        logp: (B, T).
        old_logp: (B, T).
        advantage: (B, T).
        mask: (B, T), N tokens.
        generator: Random generator on the device of the tensors, or random numbers (B, T) drawn before.
        fraction: Fraction of tokens to detach.
        low: Smallest covariance of a candidate.
        high: Largest covariance of a candidate.
        low_quantile: Quantile of the covariances to use instead of `low`; short answers rarely reach 1.
        eps_low: Lower clipping range of PPO; with 1 and 1, as in the released scripts, ratios in [0, 2] pass.
        eps_high: Upper clipping range of PPO.

    Returns:
        Loss (B, T), and metrics.
    """
    loss, clipped = ppo_clip_per_token(logp, old_logp, advantage, eps_low, eps_high)
    covariance = token_covariance(logp, advantage, mask)
    bound = low if low_quantile is None else masked_quantile(covariance, mask, low_quantile)
    candidate = (covariance > bound) & (covariance < high) & ~clipped & (mask > 0)
    if isinstance(generator, torch.Generator):
        generator = torch.rand(mask.shape, generator=generator, device=mask.device)
    keys, count = generator, _count(fraction, mask)
    removed = top_mask(keys, candidate, count)
    metrics = _metrics(covariance, mask, removed) | {"clip_fraction": masked_mean(clipped.to(mask.dtype), mask)}
    return torch.where(removed, 0.0, loss), metrics


def kl_cov(
    logp: Tensor,
    old_logp: Tensor,
    advantage: Tensor,
    mask: Tensor,
    fraction: float = 2e-3,
    beta: float = 1.0,
    penalty: str = "absolute",
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the unclipped surrogate -A r, with a penalty on the tokens of the largest covariance.

    The penalty on the max(1, int(fraction N)) tokens is beta |log pi - log pi_old|. If all advantages are 0, there is
    none.

    Args:
        logp: (B, T).
        old_logp: (B, T).
        advantage: (B, T).
        mask: (B, T), N tokens.
        fraction: Fraction of tokens with a penalty; 0.002 in the 7B script, 0.0002 in the 32B script.
        beta: Coefficient of the penalty.
        penalty: "absolute" as in the released code, which has no gradient before the policy has moved, or another
            estimator of `KL_ESTIMATORS`.

    Returns:
        Loss (B, T), and metrics.

    Raises:
        UnknownNameError: Another penalty.
    """
    if penalty not in KL_ESTIMATORS:
        raise unknown("penalty", penalty, KL_ESTIMATORS)
    covariance = token_covariance(logp, advantage, mask)
    count = torch.where((advantage * mask != 0).any(), _count(fraction, mask), 0)
    chosen = top_mask(covariance, mask, count)
    loss = -advantage * probability_ratio(logp, old_logp)
    loss = loss + torch.where(chosen, beta * KL_ESTIMATORS[penalty](logp, old_logp), 0.0)
    return loss, _metrics(covariance, mask, chosen)


def _count(fraction: float, mask: Tensor) -> Tensor:
    """Compute max(1, int(fraction N)) for the N tokens of a mask."""
    return (fraction * mask.sum().double()).long().clamp_min(1)


def _metrics(covariance: Tensor, mask: Tensor, chosen: Tensor) -> dict[str, Tensor]:
    return {
        "covariance": masked_mean(covariance, mask),
        "chosen_fraction": masked_mean(chosen.to(mask.dtype), mask),
    }


def fit_entropy_law(entropy: np.ndarray, reward: np.ndarray) -> tuple[float, float, float]:
    """Fit R = b - a exp(H) by least squares to the points of one run.

    Args:
        entropy: H, (n,) nats per token.
        reward: R, (n,) accuracies.

    Returns:
        a, b (the ceiling at H = 0 is b - a), and R^2.
    """
    x, y = np.exp(np.asarray(entropy, float)), np.asarray(reward, float)
    slope, intercept = np.polyfit(x, y, 1)
    residual = y - (intercept + slope * x)
    return float(-slope), float(intercept), float(1.0 - residual @ residual / ((y - y.mean()) ** 2).sum())


@dataclass(frozen=True)
class ClipCovConfig(TextConfig):
    """Hyperparameters of Clip-Cov; the released scripts use a fraction of 2e-4, which here would be one token."""

    fraction: float = 0.02
    """Fraction of the tokens that are detached from the gradient."""
    low: float = 1.0
    """Smallest covariance of a candidate."""
    high: float = 5.0
    """Largest covariance of a candidate."""
    low_quantile: float | None = 0.9
    """Quantile of the covariances to use instead of `low`, because those of short answers rarely reach 1; None for
    `low`."""
    eps_low: float = 1.0
    """Lower clipping range of PPO; with 1 and 1, as in the released scripts, ratios up to 2 pass."""
    eps_high: float = 1.0
    """Upper clipping range of PPO."""

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.fraction <= 1, f"fraction of ClipCov lies in [0, 1], got {self.fraction}")
        quantile = self.low_quantile
        require(quantile is None or 0 <= quantile <= 1, f"low_quantile of ClipCov lies in [0, 1], got {quantile}")
        require(self.low < self.high, f"low of ClipCov is below high, got {self.low} and {self.high}")


class ClipCovMethod(Method):
    """PPO's clipped surrogate without the gradient of some tokens of high covariance."""

    vectorizes = True

    def draw(self, batch: TextRollout) -> dict[str, Tensor]:
        """Draw the numbers by which tokens are chosen."""
        generator = self.streams.torch("clip_cov")
        return {"clip_cov": torch.rand(batch.mask.shape, generator=generator, device=batch.mask.device)}

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute PPO's loss, 0 on the tokens that are detached."""
        c = self.config
        return clip_cov(
            logp, batch.old_logp, batch.advantage, batch.mask, batch.extras["clip_cov"],
            c.fraction, c.low, c.high, c.low_quantile, c.eps_low, c.eps_high,
        )  # fmt: skip


class ClipCov(TextAgent):
    """Detaches randomly chosen high-covariance tokens from the gradient.

    Minimizes the mean over tokens of

        1[not chosen] max(-A r, -A clip(r, 1 - eps_low, 1 + eps_high)),

    where a fraction of the tokens is chosen at random among those with low < (log pi - mean log pi)(A - mean A) < high.

    Source: Cui et al. 2025 (arXiv 2505.22617), section 4.2 (Clip-Cov).

    Metrics:
        policy/covariance: Mean of (log pi - mean log pi)(A - mean A), by which the entropy decreases to first order.
        policy/chosen_fraction: Fraction of tokens that are detached.
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
    """

    Method = ClipCovMethod
    Config = ClipCovConfig
    config: ClipCovConfig


@dataclass(frozen=True)
class KLCovConfig(TextConfig):
    """Hyperparameters of KL-Cov; the released scripts use a fraction of 2e-3 (7B) or 2e-4 (32B)."""

    fraction: float = 0.1
    """Fraction of the tokens with a penalty."""
    beta: float = 3.0
    """Coefficient of the penalty; 1 in the released scripts."""
    penalty: str = "absolute"
    """Penalty: "absolute" is |log ratio|, which has no gradient before the policy has moved; or k1, k2, k3, k3_plus."""

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.fraction <= 1, f"fraction of KLCov lies in [0, 1], got {self.fraction}")
        require(self.beta >= 0, f"beta of KLCov is not negative, got {self.beta}")
        if self.penalty not in KL_ESTIMATORS:
            raise unknown("penalty", self.penalty, KL_ESTIMATORS)


class KLCovMethod(Method):
    """The unclipped surrogate with a penalty on the tokens of the largest covariance."""

    vectorizes = True

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the unclipped surrogate, with the penalty on the chosen tokens."""
        c = self.config
        return kl_cov(logp, batch.old_logp, batch.advantage, batch.mask, c.fraction, c.beta, c.penalty)


class KLCov(TextAgent):
    """Penalizes the divergence from the sampling policy on the tokens of the largest covariance.

    Minimizes the mean over tokens of

        -A r + beta 1[chosen] |log pi - log pi_old|,    r = pi / pi_old,

    where the chosen tokens are the fraction with the largest (log pi - mean log pi)(A - mean A).

    Source: Cui et al. 2025 (arXiv 2505.22617), section 4.2 (KL-Cov).

    Metrics:
        policy/covariance: Mean of (log pi - mean log pi)(A - mean A), by which the entropy decreases to first order.
        policy/chosen_fraction: Fraction of tokens with the penalty.
    """

    Method = KLCovMethod
    Config = KLCovConfig
    config: KLCovConfig
