"""HAPO (arXiv 2509.16591): temperature, advantage and clipping as functions of the entropy of each token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig, GRPOMethod
from envzoo.agents.spec import require
from envzoo.agents.text.losses.advantages import group_mean, group_scores, group_varies
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean, masked_quantile, probability_ratio
from envzoo.agents.text.rollouts import TextRollout
from envzoo.errors import EnvzooError


class EntropyScale(NamedTuple):
    """Constants that normalize log-entropies.

    Attributes:
        centre: Quantile of the log-entropies.
        spread: Root mean square deviation from it.
        highest: Largest deviation, in units of `spread`.
        lowest: Smallest deviation, in units of `spread`.
    """

    centre: float
    spread: float
    highest: float
    lowest: float


def entropy_scale(entropy: Tensor, mask: Tensor, rho: float = 0.8, floor: float = 1e-8) -> EntropyScale:
    """Compute the constants that normalize the log-entropies of a batch (B, T).

    Args:
        entropy: (B, T) nats.
        mask: (B, T).
        rho: The quantile that is the centre.
        floor: Lower bound of the entropy before the logarithm.
    """
    return EntropyScale(*(float(part) for part in _scale(entropy, mask, rho, floor)))


def _scale(entropy: Tensor, mask: Tensor, rho: float, floor: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    logs = entropy.detach().clamp_min(floor).log()
    centre = masked_quantile(logs, mask, rho)
    spread = masked_mean((logs - centre) ** 2, mask).clamp_min(1e-8).sqrt()
    h = torch.where(mask > 0, (logs - centre) / spread, 0.0)
    return centre, spread, h.max(), h.min()


def normalised_entropy(
    entropy: Tensor, scale: EntropyScale | tuple[Tensor, ...], floor: float = 1e-8, official_sign: bool = False
) -> Tensor:
    """Normalize entropies to h in [-1, 1] (...): positive above the quantile, 1 for the highest, -1 for the lowest.

    Args:
        entropy: (...) nats.
        scale: From `entropy_scale`, of the same batch or of an earlier one (then values are clipped to [-1, 1]).
        floor: As in `entropy_scale`.
        official_sign: Divide negative values by the negative minimum, as the released code does; the lowest entropies
            then get +1, like the highest. False by default, because it contradicts the paper.
    """
    centre, spread, highest, lowest = (torch.as_tensor(x, dtype=entropy.dtype, device=entropy.device) for x in scale)
    h = (entropy.detach().clamp_min(floor).log() - centre) / spread
    up = h / highest.clamp_min(1e-8)
    down = h / lowest.clamp_max(-1e-8)  # both negative: the share of the way down, as a positive number
    return torch.where(h > 0, up, down if official_sign else -down).clamp(-1.0, 1.0)


def sampling_temperature(h: Tensor, tau: float = 0.05, base: float = 1.0) -> Tensor:
    """Compute the sampling temperature base (1 + tau h) from normalized entropies h (component A)."""
    return base * (1.0 + tau * h)


def token_group_mean(reward: Tensor, group: Tensor, mask: Tensor, limit: float = 5.0) -> tuple[Tensor, Tensor]:
    """Compute advantages relative to the mean over the *tokens* of a group (component B).

    Each token carries the reward of its answer.

    A = (R - mu) / (sigma + 1e-6), with mean and population standard deviation over the tokens of the group, so that the
    advantages of its tokens sum to 0 whatever the lengths. A group with an |A| of `limit` or more falls back to the
    advantages of GRPO. Answers without tokens are ignored.

    Returns:
        Advantages (B, T), and bool (B,): rows with tokens whose group fell back.

    Raises:
        EnvzooError: A group of one answer.
    """
    if (group_mean(reward, group)[1] < 2).any():
        raise EnvzooError("group advantages compare answers to the same prompt; got a group of 1, expected at least 2")
    written = mask.sum(1).nonzero().squeeze(1)
    scores, excess = torch.zeros_like(reward), torch.zeros_like(group, dtype=torch.bool)
    scores[written], excess[written] = _token_scores(reward[written], group[written], mask[written].sum(1), limit)
    return scores[:, None] * mask, excess


def _token_scores(reward: Tensor, group: Tensor, length: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Compute scores (B,) of answers of `length` (B,) > 0 tokens, and which of them are those of GRPO."""
    weight = group_mean(length, group)[0]
    centred = reward - group_mean(reward * length, group)[0] / weight
    deviation = (group_mean(centred**2 * length, group)[0] / weight).sqrt()
    pooled = torch.where(group_varies(reward, group), centred / (deviation + 1e-6), 0.0)
    excess = group_mean((pooled.abs() >= limit).to(reward.dtype), group)[0] > 0
    fallen = excess.nonzero().squeeze(1)  # of groups that vary, so of at least two answers
    return pooled.index_copy(0, fallen, group_scores(reward[fallen], group[fallen])), excess


def clip_bounds(h: Tensor, eps: float = 0.2, alpha: float = 1.0) -> tuple[Tensor, Tensor]:
    """Compute clipping ranges (eps_low, eps_high) per token from normalized entropies (component D).

    Tokens of low entropy get a larger eps_low, tokens of high entropy a larger eps_high.
    """
    base = torch.full_like(h, eps)
    return torch.where(h > 0, base, eps * (1.0 - alpha * h)), torch.where(h > 0, eps * (1.0 + alpha * h), base)


def redistribute(
    advantage: Tensor, ratio: Tensor, h: Tensor, eps_low: Tensor | float, eps_high: Tensor | float, beta: float = 1.0
) -> Tensor:
    """Scale advantages by 1 + beta h where the entropy is high and the ratio is far from 1, or neither (component C).

    A ratio is near 1 if 1 - eps_low / 2 < r < 1 + eps_high / 2. All tensors are (B, T).
    """
    ratio = ratio.detach()
    near = (ratio > 1.0 - eps_low / 2.0) & (ratio < 1.0 + eps_high / 2.0)
    return torch.where((h > 0) != near, advantage * (1.0 + beta * h), advantage)


@dataclass(frozen=True)
class HAPOConfig(GRPOConfig):
    """Hyperparameters of HAPO; with its four components off, it is DAPO without dynamic sampling."""

    eps_high: float = 0.28
    """Upper clipping range if adaptive_clipping is off."""
    dual_clip: float | None = 10.0
    """Maximum ratio of tokens of negative advantage; the default is that of the released code."""
    adaptive_temperature: bool = True
    """Component A: sample tokens of high entropy at a higher temperature, tokens of low entropy at a lower one."""
    token_advantage: bool = True
    """Component B: advantages relative to the mean over the tokens of a group."""
    redistribution: bool = True
    """Component C: increase the advantages of tokens of high entropy whose ratio is far from 1, and decrease those of
    tokens of low entropy whose ratio is near 1."""
    adaptive_clipping: bool = True
    """Component D: clipping ranges that depend on the entropy."""
    rho: float = 0.8
    """Quantile of the log-entropies that separates low from high entropy."""
    tau: float = 0.05
    """Strength of component A."""
    alpha: float = 1.0
    """Strength of component D."""
    beta: float = 1.0
    """Strength of component C."""
    base_eps: float = 0.2
    """Base clipping range of component D."""
    entropy_floor: float = 1e-3
    """Lower bound of the entropy before the logarithm. The released code uses 1e-8, with which a single token of
    almost no entropy determines the scale."""
    official_sign: bool = False
    """Normalize the lowest entropy to +1 instead of -1, as the released code does by dividing by a negative number.
    Off, because the paper says the opposite."""

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


class HAPOMethod(GRPOMethod):
    """The four components of HAPO.

    Its state "scale" holds the constants that normalize the entropies of the last minibatch; they normalize those of
    component A in the next rollout.
    """

    vectorizes = True

    def initial_state(self) -> dict[str, Any]:
        """Return the state before the first rollout: no scale."""
        return {"scale": []}

    @property
    def varies_temperature(self) -> bool:
        """Whether component A is on."""
        return self.config.adaptive_temperature

    def temperature(self) -> Callable[[Tensor], Tensor] | None:
        """Return component A, with the scale of the last minibatch."""
        c = self.config
        if not c.adaptive_temperature or not self.state["scale"]:
            return None
        scale = EntropyScale(*self.state["scale"])
        return lambda entropy: sampling_temperature(
            normalised_entropy(entropy, scale, c.entropy_floor, c.official_sign), c.tau, c.temperature
        )

    def advantages(self, rollout: TextRollout) -> tuple[Tensor, dict[str, float]]:
        """Compute component B."""
        if not self.config.token_advantage:
            return super().advantages(rollout)
        advantage, fell_back = token_group_mean(rollout.reward, rollout.group, rollout.mask)
        return advantage, {"fallback_fraction": float(fell_back.float().mean())}

    def observe(self, entropy: Tensor, batch: TextRollout) -> None:
        """Store the scale of the entropies for the temperatures of the next rollout."""
        self.state["scale"] = list(entropy_scale(entropy, batch.mask, self.config.rho, self.config.entropy_floor))

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the clipped surrogate with the clipping ranges of D and the advantages of C."""
        c = self.config
        scale = _scale(entropy, batch.mask, c.rho, c.entropy_floor)
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


class HAPO(GRPO):
    """Heterogeneous adaptive policy optimization: treats every token according to its entropy.

    With h in [-1, 1] the normalized log-entropy of a token, 0 at the rho-quantile, it minimizes the mean over tokens of

        max(-A' r, -A' clip(r, 1 - eps_low, 1 + eps_high)),

    with four components:

    - A: Tokens are sampled at the temperature T (1 + tau h).
    - B: A = (R - mu) / sigma, with mean and standard deviation over the tokens of the group.
    - C: A' = A (1 + beta h) if h > 0 and r is far from 1, or h <= 0 and r is near 1; otherwise A' = A.
    - D: eps_low = base_eps (1 - alpha min(h, 0)) and eps_high = base_eps (1 + alpha max(h, 0)).

    Source: Liu et al. 2025 (arXiv 2509.16591), components A to D; the order of the operations is that of the released
    code, the sign of h that of the paper.

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
        policy/advantage_scale: Mean of A' / A.
        select/fallback_fraction: Fraction of answers with the advantages of GRPO in place of those of component B.
    """

    Method = HAPOMethod
    Config = HAPOConfig
    config: HAPOConfig
