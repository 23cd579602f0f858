"""Answers of a language model to the puzzles of a task as one batch, and what is measured on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.text.losses.tokens import masked_mean


@dataclass(frozen=True)
class Rollout:
    """Answers to prompts; B rows, G consecutive ones per prompt.

    Attributes:
        prompts: (B, P) int64, in the task's ids.
        tokens: (B, T) int64, in the model's, padded.
        mask: (B, T) float, 1 where the model wrote.
        old_logp: (B, T), log-probability at the base temperature, whatever temperature the token was drawn at.
        entropy: (B, T) nats, of the distribution at the base temperature.
        proxy_logp: (B, T), log-probability under the min-p filtered distribution; 0 when no filter was asked for.
        reward: (B,), what the method learns from: the verifier's reward with all that was added to it, such as the
            punishment of long answers.
        group: (B,) int64, number of the prompt; answers of one group have the same prompt.
        advantage: (B, T); 0 until it is computed.
        ref_logp: (B, T), under the policy at the start; 0 when it is not needed.
        verifier_reward: (B,), what the verifier gave, to which nothing is ever added; by default `reward`.
        written_by: (B, T) int64, how often the weights had changed when a token was written; by default -1, unknown.
    """

    prompts: Tensor
    tokens: Tensor
    mask: Tensor
    old_logp: Tensor
    entropy: Tensor
    proxy_logp: Tensor
    reward: Tensor
    group: Tensor
    advantage: Tensor
    ref_logp: Tensor
    verifier_reward: Tensor | None = None
    written_by: Tensor | None = None

    def __post_init__(self):
        if self.verifier_reward is None:
            object.__setattr__(self, "verifier_reward", self.reward)
        if self.written_by is None:
            object.__setattr__(self, "written_by", torch.full_like(self.tokens, -1))

    @property
    def correct(self) -> Tensor:
        """(B,) bool: which answers the verifier took for right."""
        return self.verifier_reward > 0.5

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def rows(self, index: Tensor) -> Rollout:
        """Some of the answers."""
        return Rollout(**{name: value[index] for name, value in self.fields().items()})

    def distinct_prompts(self) -> tuple[Tensor, Tensor]:
        """The prompts, each once (U, P), and which of them each answer belongs to (B,)."""
        numbers, which = torch.unique(self.group, return_inverse=True)
        rows = torch.arange(len(self), device=which.device)
        one = torch.empty_like(numbers).scatter_(0, which, rows)  # any of a group's: their prompts are equal
        return self.prompts[one], which

    def replace(self, **changes: Tensor) -> Rollout:
        """The same with other fields."""
        return dataclasses.replace(self, **changes)

    def fields(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def concatenate(rollouts: Sequence[Rollout]) -> Rollout:
    """Several rollouts as one; prompts are numbered on."""
    groups, first = [], 0
    for rollout in rollouts:
        groups.append(rollout.group + first)
        first += int(rollout.group.max()) + 1
    joined = {name: torch.cat([r.fields()[name] for r in rollouts]) for name in rollouts[0].fields()}
    return Rollout(**joined | {"group": torch.cat(groups)})


class RolloutQueue:
    """Rollouts that wait to be learned from; saved with the agent."""

    def __init__(self, device: torch.device):
        self.device, self.items = device, []

    def state_dict(self) -> dict[str, Any]:
        """All tensors."""
        return {"items": [item.fields() for item in self.items]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.items = [Rollout(**{k: v.to(self.device) for k, v in item.items()}) for item in state["items"]]


def pass_at_k(correct: np.ndarray, samples: int, k: int) -> np.ndarray:
    """Unbiased estimate of the chance that one of k answers is right: 1 - C(n - c, k) / C(n, k).

    Args:
        correct: (Q,) how many of the samples were right (c).
        samples: Answers per prompt (n).
        k: At most n.

    Returns:
        (Q,) float64.
    """
    wrong = samples - np.asarray(correct, float)[:, None] - np.arange(k)
    return 1.0 - np.prod(np.maximum(wrong, 0.0) / (samples - np.arange(k)), axis=1)


def measure(rollout: Rollout, copies: int) -> dict[str, float]:
    """Entropy (nats per token), accuracy, pass@k for powers of two, distinct right answers per prompt, and length.

    What is right the verifier says, whatever the method adds to its reward.
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
