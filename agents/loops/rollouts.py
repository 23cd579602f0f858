"""Answers of a language model to the puzzles of a task, sampled in batches, and what is measured on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.losses.text.lp_reg import min_p_log_prob
from envzoo.agents.losses.text.tokens import masked_mean
from envzoo.agents.networks.language import CharacterTransformer
from envzoo.errors import NonFiniteError
from envzoo.reasoning.task import DONE, EOS, PAD, Task


@dataclass(frozen=True)
class Rollout:
    """Answers to prompts; B rows, G consecutive ones per prompt.

    Attributes:
        prompts: (B, P) int64.
        tokens: (B, T) int64, padded.
        mask: (B, T) float, 1 where the model wrote.
        old_logp: (B, T), log-probability at the base temperature, whatever temperature the token was drawn at.
        entropy: (B, T) nats, of the distribution at the base temperature.
        proxy_logp: (B, T), log-probability under the min-p filtered distribution; 0 when no filter was asked for.
        reward: (B,).
        group: (B,) int64, number of the prompt.
        advantage: (B, T); 0 until it is computed.
        ref_logp: (B, T), under the policy at the start; 0 when it is not needed.
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

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def rows(self, index: Tensor) -> Rollout:
        """Some of the answers."""
        return Rollout(**{name: value[index] for name, value in self.fields().items()})

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


@torch.no_grad()
def sample_answers(
    model: CharacterTransformer,
    task: Task,
    prompts: np.ndarray,
    copies: int,
    generator: torch.Generator | None,
    temperature: float = 1.0,
    base_temperature: float = 1.0,
    temperature_of: Callable[[Tensor], Tensor] | None = None,
    kappa: float | None = None,
) -> Rollout:
    """Let the model answer each prompt several times, and verify the answers.

    Args:
        model: The model.
        task: The puzzles; in one with several turns, its replies are written into the answers.
        prompts: (Q, P) int64.
        copies: Answers per prompt (G).
        generator: On the model's device; None takes the most probable token everywhere.
        temperature: Of sampling.
        base_temperature: Of the log-probabilities and entropies that are recorded.
        temperature_of: Temperatures of tokens from their entropies (B,), instead of `temperature`.
        kappa: Threshold of the min-p filter for `proxy_logp`, or None.

    Returns:
        B = Q G answers.

    Raises:
        NonFiniteError: The model's logits are not finite.
    """
    device = model.never.device
    places, rows = task.answer_length, len(prompts) * copies
    repeated = np.repeat(prompts, copies, 0)
    ids = torch.as_tensor(prompts, device=device)
    logits, cache = model.prefill(ids, copies)
    tokens = torch.full((rows, places), PAD, dtype=torch.int64, device=device)
    mask, logps, entropies, proxies = (torch.zeros(rows, places, device=device) for _ in range(4))
    alive = torch.ones(rows, dtype=torch.bool, device=device)
    for k in range(places):
        log_prob = torch.log_softmax(logits / base_temperature, -1)
        prob = log_prob.exp()
        entropy = -(prob * log_prob).sum(-1)
        if generator is None:
            token = log_prob.argmax(-1)
        else:
            if temperature_of is not None:
                prob = torch.softmax(logits / temperature_of(entropy)[:, None], -1)
            elif temperature != base_temperature:
                prob = torch.softmax(logits / temperature, -1)
            race = torch.empty_like(prob).exponential_(generator=generator)
            token = (prob / race).argmax(-1)
        writes = alive
        if task.multi_turn:
            following = torch.as_tensor(task.advance(repeated, tokens.cpu().numpy(), k), device=device)
            alive = following != DONE
            writes = following == -1
            token = torch.where(following >= 0, following, token)
        token = torch.where(alive, token, PAD)
        tokens[:, k] = token
        mask[:, k] = writes
        logps[:, k] = log_prob.gather(-1, token[:, None]).squeeze(-1)
        entropies[:, k] = entropy
        if kappa is not None:
            proxies[:, k] = min_p_log_prob(logits / base_temperature, kappa).gather(-1, token[:, None]).squeeze(-1)
        if not task.multi_turn:
            alive = alive & (token != EOS)
        if k + 1 == places or not bool(alive.any()):
            break
        logits = model.step(token, prompts.shape[1] + k, cache)
    written = mask > 0
    logps, entropies, proxies = (torch.where(written, x, 0.0) for x in (logps, entropies, proxies))
    if not bool(torch.isfinite(logps).all() & torch.isfinite(entropies).all()):
        raise NonFiniteError(
            "the language model's logits became NaN or infinite while it wrote answers; try a smaller learning rate"
        )
    lengths = (tokens != PAD).sum(1).cpu().numpy()
    reward = task.verify(repeated, tokens.cpu().numpy(), lengths)
    return Rollout(
        prompts=ids.repeat_interleave(copies, 0),
        tokens=tokens,
        mask=mask,
        old_logp=logps,
        entropy=entropies,
        proxy_logp=proxies,
        reward=torch.as_tensor(reward, device=device),
        group=torch.arange(len(prompts), device=device).repeat_interleave(copies),
        advantage=torch.zeros_like(mask),
        ref_logp=torch.zeros_like(mask),
    )


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
    """Entropy (nats per token), accuracy, pass@k for powers of two, distinct right answers per prompt, and length."""
    right = (rollout.reward > 0.5).cpu().numpy()
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
