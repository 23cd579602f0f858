"""Batches of answers of a language model, and the metrics that are computed on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.moved import former_names


@dataclass(frozen=True)
class TextRollout:
    """Answers to prompts; B rows, G consecutive rows per prompt.

    Attributes:
        prompts: (B, P) int64, in the ids of the task.
        tokens: (B, T) int64, in the ids of the model, padded.
        mask: (B, T) float, 1 on the tokens that the model wrote.
        old_logp: (B, T), log-probability at the base temperature, whatever temperature the token was sampled at.
        entropy: (B, T), entropy in nats of the sampling policy at the base temperature.
        reward: (B,), the reward that the method learns from: the reward of the verifier plus all shaping terms, such as
            the penalty on overlong answers.
        group: (B,) int64, number of the prompt; all answers of a group have the same prompt.
        advantage: (B, T); 0 until it is computed.
        ref_logp: (B, T), log-probability under the reference policy; 0 if it is not needed.
        verifier_reward: (B,), the reward of the verifier alone; `reward` by default.
        written_by: (B, T) int64, number of weight updates at the time a token was sampled; -1, the default, if unknown.
        extras: Further (B, T) tensors by name, as recorded by `Method.record`.
    """

    prompts: Tensor
    tokens: Tensor
    mask: Tensor
    old_logp: Tensor
    entropy: Tensor
    reward: Tensor
    group: Tensor
    advantage: Tensor
    ref_logp: Tensor
    verifier_reward: Tensor | None = None
    written_by: Tensor | None = None
    extras: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self):
        if self.verifier_reward is None:
            object.__setattr__(self, "verifier_reward", self.reward)
        if self.written_by is None:
            object.__setattr__(self, "written_by", torch.full_like(self.tokens, -1))

    @property
    def correct(self) -> Tensor:
        """Bool (B,): which answers the verifier accepted."""
        return self.verifier_reward > 0.5

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def rows(self, index: Tensor) -> TextRollout:
        """Select some of the answers."""
        return self.apply(lambda value: value[index])

    def distinct_prompts(self) -> tuple[Tensor, Tensor]:
        """Return each prompt once (U, P), and the index (B,) of the prompt of each answer."""
        numbers, which = torch.unique(self.group, return_inverse=True)
        rows = torch.arange(len(self), device=which.device)
        one = torch.empty_like(numbers).scatter_(0, which, rows)  # any row of a group: their prompts are equal
        return self.prompts[one], which

    def replace(self, **changes: Any) -> TextRollout:
        """Return a copy with other fields."""
        return dataclasses.replace(self, **changes)

    def apply(self, function: Callable[..., Tensor], *others: TextRollout) -> TextRollout:
        """Apply a function to each tensor, and to the same tensor of other rollouts.

        Args:
            function: Takes one tensor per rollout and returns one.
            *others: Rollouts with the same extras.
        """
        rollouts = (self, *others)
        parts = {name: function(*(getattr(rollout, name) for rollout in rollouts)) for name in TENSORS}
        extras = {name: function(*(rollout.extras[name] for rollout in rollouts)) for name in self.extras}
        return TextRollout(**parts, extras=extras)

    def fields(self) -> dict[str, Any]:
        """Return all fields by name."""
        return {name: getattr(self, name) for name in (*TENSORS, "extras")}


TENSORS = tuple(item.name for item in dataclasses.fields(TextRollout) if item.name != "extras")


def answers(mask: Tensor, **known: Any) -> TextRollout:
    """Make a rollout of which only some fields are known; the others are 0."""
    none = torch.zeros_like(mask)
    rows = torch.zeros(len(mask), dtype=torch.int64, device=mask.device)
    blank = {
        "prompts": rows[:, None],
        "tokens": rows[:, None].expand(mask.shape),
        "old_logp": none,
        "entropy": none,
        "reward": none[:, 0] if mask.shape[1] else mask.new_zeros(len(mask)),
        "group": rows,
        "advantage": none,
        "ref_logp": none,
    }
    return TextRollout(mask=mask, **blank | known)


def concatenate(rollouts: Sequence[TextRollout]) -> TextRollout:
    """Concatenate rollouts; the numbers of their groups are shifted so that they stay distinct."""
    groups, first = [], 0
    for rollout in rollouts:
        groups.append(rollout.group + first)
        first += int(rollout.group.max()) + 1
    joined = rollouts[0].apply(lambda *parts: torch.cat(parts), *rollouts[1:])
    return joined.replace(group=torch.cat(groups))


class RolloutQueue:
    """Rollouts that wait to be trained on; saved with the agent.

    Args:
        device: Device of the tensors.
        records: Names of the extras of its rollouts.
    """

    def __init__(self, device: torch.device, records: Sequence[str] = ()):
        self.device, self.records, self.items = device, records, []

    def state_dict(self) -> dict[str, Any]:
        """Return all tensors."""
        return {"items": [item.fields() for item in self.items]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the rollouts that `state_dict` returned."""
        self.items = []
        for item in state["items"]:
            # Files of the first release keep the one extra that there was among the fields.
            extras = item.get("extras", item)
            parts = {name: value.to(self.device) for name, value in item.items() if name in TENSORS}
            kept = {name: extras[name].to(self.device) for name in self.records}
            self.items.append(TextRollout(**parts, extras=kept))


def pass_at_k(correct: np.ndarray, samples: int, k: int) -> np.ndarray:
    """Estimate the probability that one of k answers is right, without bias: 1 - C(n - c, k) / C(n, k).

    Args:
        correct: (Q,), number of right answers (c).
        samples: Answers per prompt (n).
        k: At most n.

    Returns:
        (Q,) float64.
    """
    wrong = samples - np.asarray(correct, float)[:, None] - np.arange(k)
    return 1.0 - np.prod(np.maximum(wrong, 0.0) / (samples - np.arange(k)), axis=1)


def measure(rollout: TextRollout, copies: int) -> dict[str, float]:
    """Compute the metrics of a rollout: entropy, accuracy, pass@k, distinct right answers per prompt, and length.

    The entropy is in nats per token, k runs over the powers of two up to the number of answers per prompt, and the
    length is in tokens. The verifier decides what is right, whatever the method adds to its reward.
    """
    right = rollout.correct.cpu().numpy()
    correct = right.reshape(-1, copies).sum(1)
    answers = np.column_stack([rollout.group.cpu().numpy(), rollout.tokens.cpu().numpy()])[right]
    metrics = {
        "entropy": float(masked_mean(rollout.entropy, rollout.mask)),
        "accuracy": float(right.mean()),
        "distinct_correct": len(np.unique(answers, axis=0)) / len(correct) if len(answers) else 0.0,
        "length": float(rollout.mask.sum(1).mean()),
    }
    for power in range(1, 11):
        if 2**power <= copies:
            metrics[f"pass_at_{2**power}"] = float(pass_at_k(correct, copies, 2**power).mean())
    return metrics


__getattr__ = former_names(__name__, {"Rollout": f"{__name__}:TextRollout"})
