"""AEPO (arXiv 2510.08141): holds the entropy at a chosen level by rewarded samples of another temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig
from envzoo.agents.spec import require
from envzoo.agents.text.losses.aepo import (
    guiding_temperature,
    injected_advantage,
    injection_count,
    reinforced_rows,
)
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.rollouts import Rollout


@dataclass(frozen=True)
class AEPOArbitraryConfig(GRPOConfig):
    """Hyperparameters of AEPO; for large models 1.2, 0.8, a quarter of the prompts and 2.3% of the answers."""

    target_entropy: float = 0.5
    """Entropy to hold, in nats per token."""
    high_temperature: float = 1.8
    """Temperature of the extra samples while the entropy is at or below its target."""
    low_temperature: float = 0.8
    """Temperature of the extra samples above it."""
    extra_prompts: float = 1.0
    """Share of the prompts that get extra samples."""
    injected: float = 0.5
    """Largest share of the batch that the rewarded extra samples replace; half of it above the target."""
    dual_clip: float | None = 3.0
    """As in the released code."""

    def __post_init__(self):
        super().__post_init__()
        for field in ("high_temperature", "low_temperature"):
            value = getattr(self, field)
            require(value > 0, f"{field} of AEPOArbitrary is positive, got {value}")
        for field in ("extra_prompts", "injected"):
            value = getattr(self, field)
            require(0 <= value <= 1, f"{field} of AEPOArbitrary lies in [0, 1], got {value}")
        require(self.target_entropy >= 0, f"target_entropy of AEPOArbitrary is not negative, got {self.target_entropy}")


class AEPOArbitrary(GRPO):
    """GRPO in whose batches some answers are replaced by right ones of a hotter or cooler policy, with weight 1."""

    Config = AEPOArbitraryConfig
    config: AEPOArbitraryConfig

    def first_memory(self) -> dict[str, Any]:
        """Also the entropy of the last rollout; 0 at first, as in the released code, so the first samples are hot."""
        return super().first_memory() | {"entropy": 0.0}

    def generate(self) -> Rollout:
        """The normal rollout, with rewarded extra samples in place of random rows."""
        c = self.config
        rollout = super().generate()
        entropy, self.memory["entropy"] = self.memory["entropy"], float(masked_mean(self.seen.entropy, self.seen.mask))
        most = int(c.injected * len(rollout))
        self._count = 0
        if not most or not c.extra_prompts:
            return rollout
        heat = guiding_temperature(entropy, c.target_entropy, c.low_temperature, c.high_temperature)
        first = max(1, int(c.extra_prompts * c.num_prompts)) * c.group_size
        prompts = rollout.prompts[: first : c.group_size].cpu().numpy()
        extra = self.answer(prompts, heat)
        # What is injected is right by the verifier: a reward with other terms in it would let wrong answers pass.
        advantage = self.advantages(extra.replace(reward=extra.verifier_reward))
        kept = reinforced_rows(torch.where(extra.correct, advantage.sum(1) / extra.mask.sum(1).clamp_min(1.0), 0.0))
        self._count = injection_count(len(kept), most, entropy, c.target_entropy)
        generator = self.streams.numpy("injection")
        kept = kept[torch.as_tensor(generator.permutation(len(kept)), device=self.device)[: self._count]]
        places = torch.as_tensor(generator.permutation(len(rollout))[: self._count], device=self.device)
        return _inject(rollout, places, extra.rows(kept))

    def _watch(self, useful: float) -> None:
        super()._watch(useful + self._count)  # injected answers are learned from, whatever the others' rewards

    def select(self, rollout: Rollout) -> tuple[Rollout, dict[str, float]]:
        """All answers; tells how many were injected into the last generated rollout."""
        return rollout, {"injected": float(self._count)}


def _inject(rollout: Rollout, places: Tensor, extra: Rollout) -> Rollout:
    """Rows `places` of a rollout replaced by others, whose advantage is 1 on every token.

    The others keep their prompts, so they keep groups of their own as well, numbered on from those of the rollout.
    """
    first = int(rollout.group.max()) + 1
    extra = extra.replace(advantage=injected_advantage(extra.mask), group=extra.group + first)
    others = extra.fields()
    changed = {name: value.index_copy(0, places, others[name]) for name, value in rollout.fields().items()}
    return rollout.replace(**changed)
