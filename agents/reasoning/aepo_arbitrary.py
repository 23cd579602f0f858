"""AEPO (arXiv 2510.08141): holds the entropy at a target by right answers sampled at another temperature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig, GRPOMethod
from envzoo.agents.spec import require
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.rollouts import TextRollout


def guiding_temperature(entropy: float, target: float, low: float = 0.8, high: float = 1.2) -> float:
    """Return the high temperature if the entropy (nats per token) is at or below its target, else the low one."""
    return high if entropy <= target else low


def injection_count(available: int, most: int, entropy: float, target: float) -> int:
    """Return the number of extra samples to inject: at most `most`, half as many (rounded down) above the target."""
    count = min(most, available)
    return count if entropy <= target else count // 2


def reinforced_rows(advantage: Tensor, threshold: float = 0.05) -> Tensor:
    """Return the rows (k,) int64 whose advantage (B,) is above the threshold: right answers of groups that vary."""
    return (advantage > threshold).nonzero().squeeze(1)


def injected_advantage(mask: Tensor) -> Tensor:
    """Return the advantage (B, T) of injected answers: 1 on their tokens, as in REINFORCE with reward 1."""
    return (mask > 0).to(mask.dtype)


@dataclass(frozen=True)
class AEPOArbitraryConfig(GRPOConfig):
    """Hyperparameters of AEPO.

    Large models use a high temperature of 1.2, a low one of 0.8, a quarter of the prompts and 2.3% of the answers.
    """

    target_entropy: float = 0.5
    """Target entropy in nats per token."""
    high_temperature: float = 1.8
    """Temperature of the extra samples if the entropy is at or below its target."""
    low_temperature: float = 0.8
    """Temperature of the extra samples if the entropy is above its target."""
    extra_prompts: float = 1.0
    """Fraction of the prompts with extra samples."""
    injected: float = 0.5
    """Maximum fraction of the answers that are replaced by extra samples; half of it above the target."""
    dual_clip: float | None = 3.0
    """Maximum ratio of tokens of negative advantage; the default is that of the released code."""

    def __post_init__(self):
        super().__post_init__()
        for field in ("high_temperature", "low_temperature"):
            value = getattr(self, field)
            require(value > 0, f"{field} of AEPOArbitrary is positive, got {value}")
        for field in ("extra_prompts", "injected"):
            value = getattr(self, field)
            require(0 <= value <= 1, f"{field} of AEPOArbitrary lies in [0, 1], got {value}")
        require(self.target_entropy >= 0, f"target_entropy of AEPOArbitrary is not negative, got {self.target_entropy}")


class AEPOArbitraryMethod(GRPOMethod):
    """GRPO with injected answers.

    Its state "entropy" is the entropy of the last rollout. It is 0 at first, as in the released code, so the first
    extra samples have the high temperature.
    """

    injects = True
    vectorizes = True

    def initial_state(self) -> dict[str, Any]:
        """Return the state before the first rollout."""
        return {"entropy": 0.0}

    def inject(
        self, rollout: TextRollout, sampled: TextRollout, answer: Callable[[Tensor, float], TextRollout]
    ) -> tuple[TextRollout, int]:
        """Replace random rows of a rollout by right answers of another temperature."""
        c = self.config
        entropy, self.state["entropy"] = self.state["entropy"], float(masked_mean(sampled.entropy, sampled.mask))
        most = int(c.injected * len(rollout))
        if not most or not c.extra_prompts:
            return rollout, 0
        temperature = guiding_temperature(entropy, c.target_entropy, c.low_temperature, c.high_temperature)
        first = max(1, int(c.extra_prompts * c.num_prompts)) * c.group_size
        extra = answer(rollout.prompts[: first : c.group_size], temperature)
        # Injected answers are right by the verifier: a reward with other terms in it would let wrong answers pass.
        advantage, _ = self.advantages(extra.replace(reward=extra.verifier_reward))
        kept = reinforced_rows(torch.where(extra.correct, advantage.sum(1) / extra.mask.sum(1).clamp_min(1.0), 0.0))
        count = injection_count(len(kept), most, entropy, c.target_entropy)
        generator = self.streams.numpy("injection")
        kept = kept[torch.as_tensor(generator.permutation(len(kept)), device=kept.device)[:count]]
        places = torch.as_tensor(generator.permutation(len(rollout))[:count], device=kept.device)
        return _inject(rollout, places, extra.rows(kept)), count


def _inject(rollout: TextRollout, places: Tensor, extra: TextRollout) -> TextRollout:
    """Replace the rows `places` of a rollout by others, whose advantage is 1 on every token.

    The others keep their prompts and so have groups of their own, with numbers after those of the rollout.
    """
    first = int(rollout.group.max()) + 1
    extra = extra.replace(advantage=injected_advantage(extra.mask), group=extra.group + first)
    return rollout.apply(lambda mine, theirs: mine.index_copy(0, places, theirs), extra)


class AEPOArbitrary(GRPO):
    """Arbitrary entropy policy optimization: GRPO with injected right answers that hold the entropy at a target.

    Minimizes the loss of GRPO over a batch in which some answers are replaced by right answers of the same policy at
    another temperature T, with advantage 1:

        T = high_temperature if H <= target_entropy else low_temperature,

    where H is the entropy of the previous rollout.

    Source: Wang et al. 2025 (arXiv 2510.08141); the numbers of injected answers are those of the released code.

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
        select/injected: Number of injected answers in the last sampled rollout.
    """

    Method = AEPOArbitraryMethod
    Config = AEPOArbitraryConfig
    config: AEPOArbitraryConfig
