"""Advantage estimators: from the rewards of answers, mostly relative to other answers to the same prompt."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from envzoo.agents.text.losses.tokens import masked_whiten
from envzoo.errors import EnvzooError, unknown

GROUP_EPS = 1e-6  # added to a group's standard deviation


def group_mean(values: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the mean of `values` (B,) over rows of equal `group` (B,) int64 >= 0, and the group sizes; (B,) each."""
    groups = int(group.max()) + 1 if group.numel() else 0
    size = torch.zeros(groups, dtype=values.dtype, device=values.device).index_add_(0, group, torch.ones_like(values))
    total = torch.zeros_like(size).index_add_(0, group, values)
    return (total / size.clamp_min(1.0))[group], size[group]


def group_varies(reward: Tensor, group: Tensor) -> Tensor:
    """Return whether the rewards of the group of each row differ, bool (B,); if not, its advantage is exactly 0."""
    groups = int(group.max()) + 1 if group.numel() else 0
    low = reward.new_full((groups,), float("inf")).scatter_reduce_(0, group, reward, "amin")
    high = reward.new_full((groups,), -float("inf")).scatter_reduce_(0, group, reward, "amax")
    return (high > low)[group]


def _centred(reward: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    mean, size = group_mean(reward, group)
    if (size < 2).any():
        raise EnvzooError("group advantages compare answers to the same prompt; got a group of 1, expected at least 2")
    return torch.where(group_varies(reward, group), reward - mean, 0.0), size


def group_scores(reward: Tensor, group: Tensor, scale: str = "group") -> Tensor:
    """Compute GRPO's advantages of answers (B,): reward minus mean of the group, divided by a standard deviation.

    Args:
        reward: (B,).
        group: (B,) int64, the prompt of each row.
        scale: The standard deviation (n - 1 in the denominator, plus 1e-6) of the "group" (Shao et al. 2024), of the
            "batch", or "none" (Dr. GRPO, Liu et al. 2025).

    Raises:
        EnvzooError: A group has one answer only.
        UnknownNameError: The scale is unknown.
    """
    centred, size = _centred(reward, group)
    if scale == "none":
        return centred
    if scale == "batch":
        return centred / (reward.std() + GROUP_EPS)
    if scale != "group":
        raise unknown("scale", scale, ("group", "batch", "none"))
    variance = group_mean(centred**2, group)[0] * size / (size - 1)
    return centred / (variance.sqrt() + GROUP_EPS)


def _spread(scores: Tensor, mask: Tensor) -> Tensor:
    return scores[:, None] * mask


def grpo(reward: Tensor, group: Tensor, mask: Tensor) -> Tensor:
    """Compute (R - mean_g) / (std_g + 1e-6) on every token; (B, T)."""
    return _spread(group_scores(reward, group), mask)


def dr_grpo(reward: Tensor, group: Tensor, mask: Tensor) -> Tensor:
    """Compute R - mean_g on every token.

    Division by the standard deviation would favour prompts whose answers are almost always right or wrong.
    """
    return _spread(group_scores(reward, group, "none"), mask)


def grpo_batch(reward: Tensor, group: Tensor, mask: Tensor) -> Tensor:
    """Compute R - mean_g, divided by the standard deviation of the whole batch, on every token."""
    return _spread(group_scores(reward, group, "batch"), mask)


def rloo(reward: Tensor, group: Tensor, mask: Tensor) -> Tensor:
    """Compute R minus the mean of the *other* rewards = G/(G-1) (R - mean_g) (leave-one-out, Ahmadian et al. 2024)."""
    centred, size = _centred(reward, group)
    return _spread(centred * size / (size - 1), mask)


def reinforce_plus_plus(reward: Tensor, group: Tensor, mask: Tensor, gamma: float = 1.0) -> Tensor:
    """Compute the reward of the last token, discounted per token and whitened over the batch (REINFORCE++, Hu 2025)."""
    after = mask.flip(1).cumsum(1).flip(1) - mask  # tokens that the model still writes after this one
    return masked_whiten(reward[:, None] * gamma ** after.clamp_min(0.0), mask)


def reinforce_plus_plus_baseline(reward: Tensor, group: Tensor, mask: Tensor) -> Tensor:
    """Compute R - mean_g, whitened over the tokens of the batch (REINFORCE++ with a baseline)."""
    centred, _ = _centred(reward, group)
    return masked_whiten(_spread(centred, mask), mask)


def opo(reward: Tensor, group: Tensor, mask: Tensor) -> Tensor:
    """Compute R minus the mean of its group, weighted by the lengths of the answers (OPO, Hao et al. 2025)."""
    length = mask.sum(1)
    baseline = group_mean(reward * length, group)[0] / group_mean(length, group)[0].clamp_min(1e-9)
    return _spread(torch.where(group_varies(reward, group), reward - baseline, 0.0), mask)


def best_of_group(reward: Tensor, group: Tensor, mask: Tensor) -> Tensor:
    """Compute the lead of the best answer of each group over the second best, and 0 for the others (for pass@k)."""
    scores = torch.zeros_like(reward)
    for number in group.unique():
        rows = (group == number).nonzero().squeeze(1)
        top = reward[rows].topk(min(2, rows.numel()))
        if rows.numel() < 2:
            raise EnvzooError("group advantages compare answers to the same prompt; got a group of 1, expected more")
        scores[rows[top.indices[0]]] = top.values[0] - top.values[1]
    return _spread(scores, mask)


ADVANTAGES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "grpo": grpo,
    "dr_grpo": dr_grpo,
    "grpo_batch": grpo_batch,
    "rloo": rloo,
    "reinforce_plus_plus": reinforce_plus_plus,
    "reinforce_plus_plus_baseline": reinforce_plus_plus_baseline,
    "opo": opo,
    "best_of_group": best_of_group,
}
NEED_GROUPS = frozenset(ADVANTAGES) - {"reinforce_plus_plus", "opo"}


def overlong_penalty(length: Tensor, longest: int, buffer: int, factor: float = 1.0) -> Tensor:
    """Compute DAPO's penalty on long answers (B,), to be added to the reward (Yu et al. 2025, equation 13).

    It is 0 up to `longest - buffer` tokens and then decreases linearly to -factor at `longest`.
    """
    return -factor * ((length - (longest - buffer)) / buffer).clamp(0.0, 1.0)
