"""Arbitrary Entropy Policy Optimization: hot or cool rewarded samples hold the entropy (arXiv 2510.08141)."""

from __future__ import annotations

import torch
from torch import Tensor


def guiding_temperature(entropy: float, target: float, low: float = 0.8, high: float = 1.2) -> float:
    """The hot temperature while the entropy (nats per token) is at or below its target, else the cool one."""
    return high if entropy <= target else low


def injection_count(available: int, most: int, entropy: float, target: float) -> int:
    """How many rewarded samples enter the batch: up to `most`, half as many (rounded down) above the target."""
    count = min(most, available)
    return count if entropy <= target else count // 2


def reinforced_rows(advantage: Tensor, threshold: float = 0.05) -> Tensor:
    """Rows (k,) int64 of answers whose advantage (B,) is above the threshold: right ones of groups that vary."""
    return (advantage > threshold).nonzero().squeeze(1)


def injected_advantage(mask: Tensor) -> Tensor:
    """(B, T): the weight of an injected answer, 1 on its tokens, which makes it a REINFORCE term with reward 1."""
    return torch.where(mask > 0, 1.0, 0.0)
