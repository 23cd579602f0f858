"""Sampling answers from a language model in batches, whole or a piece at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.text.codec import Codec, Dialogue
from envzoo.agents.text.losses.lp_reg import min_p_log_prob
from envzoo.agents.text.losses.tokens import entropy_of_log_probs
from envzoo.agents.text.models.draw import APART, draw
from envzoo.agents.text.models.language import LanguageModel
from envzoo.agents.text.rollouts import Rollout
from envzoo.errors import NonFiniteError
from envzoo.reasoning.task import DONE


@dataclass(frozen=True)
class Manner:
    """How tokens are drawn, and what is recorded of them.

    Attributes:
        generator: On the model's device; None takes the most probable token everywhere.
        temperature: Of sampling.
        base_temperature: Of the log-probabilities and entropies that are recorded.
        temperature_of: Temperatures of tokens from their entropies (B,), instead of `temperature`.
        kappa: Threshold of the min-p filter for `proxy_logp`, or None.
        policy: How often the model's weights have changed, recorded with each token; -1 where nobody will ask.
    """

    generator: torch.Generator | None = None
    temperature: float = 1.0
    base_temperature: float = 1.0
    temperature_of: Callable[[Tensor], Tensor] | None = None
    kappa: float | None = None
    policy: int = -1


class Draft(NamedTuple):
    """Answers that are being written, filled in place.

    Attributes:
        tokens: (B, T) int64, padded.
        mask: (B, T) float, 1 where the model wrote.
        logp: (B, T), at the base temperature.
        entropy: (B, T).
        proxy: (B, T).
        written_by: (B, T) int64, see `Manner.policy`.
        alive: (B,) bool, which of them are unfinished.
    """

    tokens: Tensor
    mask: Tensor
    logp: Tensor
    entropy: Tensor
    proxy: Tensor
    written_by: Tensor
    alive: Tensor


def blank(rows: int, places: int, pad: int, device: torch.device) -> Draft:
    """Answers of which nothing is written yet."""
    tokens = torch.full((rows, places), pad, dtype=torch.int64, device=device)
    mask, logp, entropy, proxy = (torch.zeros(rows, places, device=device) for _ in range(4))
    unknown = torch.full_like(tokens, -1)
    return Draft(tokens, mask, logp, entropy, proxy, unknown, torch.ones(rows, dtype=torch.bool, device=device))


def _draw(logits: Tensor, manner: Manner) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (B,) from logits (B, V), their log-probabilities, and entropies, both at the base temperature."""
    base, generator = manner.base_temperature, manner.generator
    if generator is not None and manner.temperature_of is None and _in_kernels(logits):
        return _draw_in_kernels(logits, base, manner.temperature, generator)
    log_prob = torch.log_softmax(logits / base, -1)
    prob = log_prob.exp()
    entropy = entropy_of_log_probs(log_prob)
    if generator is None:
        token = log_prob.argmax(-1)
    else:
        if manner.temperature_of is not None:
            prob = torch.softmax(logits / manner.temperature_of(entropy)[:, None], -1)
        elif manner.temperature != base:
            prob = torch.softmax(logits / manner.temperature, -1)
        race = torch.empty_like(prob).exponential_(generator=generator)
        token = (prob / race).argmax(-1)
    return token, log_prob.gather(-1, token[:, None]).squeeze(-1), entropy


def _in_kernels(logits: Tensor) -> bool:
    return logits.device.type == "cpu" and logits.dtype == torch.float32


def _draw_in_kernels(
    logits: Tensor, base: float, heat: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    rows = len(logits)
    token, logp, entropy = torch.empty(rows, dtype=torch.int64), torch.empty(rows), torch.empty(rows)
    uniform = torch.rand(rows, generator=generator)
    scratch = np.empty((2, logits.shape[1] + APART), np.float32)[:, : logits.shape[1]]
    draw(
        logits.contiguous().numpy(), np.float32(base), np.float32(heat), uniform.numpy(), *scratch, token.numpy(),
        logp.numpy(), entropy.numpy(),
    )  # fmt: skip
    if bool(entropy.isnan().any()):  # 0 * -inf of tokens whose logit is -inf; other NaNs stay
        entropy = entropy_of_log_probs(torch.log_softmax(logits / base, -1))
    return token, logp, entropy


@torch.no_grad()
def write(
    model: LanguageModel,
    codec: Codec,
    ids: Tensor,
    draft: Draft,
    manner: Manner,
    first: int = 0,
    last: int | None = None,
    dialogue: Dialogue | None = None,
) -> Draft:
    """Let the model write places first, ..., last - 1 of answers, or until all have ended.

    Args:
        model: The model.
        codec: What its tokens mean.
        ids: (Q, W) int64 what it has read: prompts, and what stands of the answers; B / Q answers go with each.
        draft: B answers, of which the first `first` places stand; the others are filled in place.
        manner: How.
        first: The first place to write.
        last: The place before which to stop; None for the answers' width.
        dialogue: For a task of several turns, whose replies are written into the answers.

    Returns:
        The draft with what is alive now.

    Raises:
        NonFiniteError: The model's logits are not finite.
    """
    device = ids.device
    tokens, mask, logps, entropies, proxies, written_by, alive = draft
    last = tokens.shape[1] if last is None else min(last, tokens.shape[1])
    logits, cache = model.prefill(ids, len(tokens) // len(ids))
    base = manner.base_temperature
    written_by[:, first:last] = manner.policy
    for k in range(first, last):
        token, logp, entropy = _draw(logits, manner)
        writes = alive
        if dialogue is not None:
            following = torch.as_tensor(dialogue.following(tokens.cpu().numpy(), k), device=device)
            alive = following != DONE
            writes = following == -1
            token = torch.where(following >= 0, following, token)  # its probability is not kept
        token = torch.where(alive, token, codec.pad)
        tokens[:, k] = token
        mask[:, k] = writes
        logps[:, k] = logp
        entropies[:, k] = entropy
        if manner.kappa is not None:
            proxy = min_p_log_prob(logits / base, manner.kappa)
            proxies[:, k] = proxy.gather(-1, token.clamp_min(0)[:, None]).squeeze(-1)
        if dialogue is None:
            alive = alive & ~codec.ends(token)
        if k + 1 == last or not bool(alive.any()):
            break
        logits = model.step(token, ids.shape[1] + k - first, cache)
    for recorded in (logps, entropies, proxies):
        recorded.copy_(torch.where(mask > 0, recorded, 0.0))
    if not bool(torch.isfinite(logps).all() & torch.isfinite(entropies).all()):
        raise NonFiniteError(
            "the language model's logits became NaN or infinite while it wrote answers; try a smaller learning rate"
        )
    return draft._replace(alive=alive)


def sample_answers(model: LanguageModel, codec: Codec, prompts: np.ndarray, copies: int, manner: Manner) -> Rollout:
    """Let the model answer each prompt several times, and verify the answers.

    Args:
        model: The model.
        codec: What its tokens mean; in a task of several turns, the replies are written into the answers.
        prompts: (Q, P) int64, in the task's ids.
        copies: Answers per prompt (G).
        manner: How tokens are drawn.

    Returns:
        B = Q G answers.

    Raises:
        NonFiniteError: The model's logits are not finite.
    """
    device, rows = model.device, len(prompts) * copies
    repeated = np.repeat(prompts, copies, 0)
    dialogue = codec.dialogue(repeated) if codec.task.multi_turn else None
    draft = blank(rows, codec.answer_length, codec.pad, device)
    ids = torch.as_tensor(codec.encode(prompts), device=device)
    draft = write(model, codec, ids, draft, manner, dialogue=dialogue)
    tokens = draft.tokens.cpu().numpy()
    reward = codec.reward(repeated, tokens) if dialogue is None else dialogue.reward(tokens)
    group = torch.arange(len(prompts), device=device).repeat_interleave(copies)
    return as_rollout(draft, torch.as_tensor(prompts, device=device).repeat_interleave(copies, 0), group, reward)


def as_rollout(draft: Draft, prompts: Tensor, group: Tensor, reward: np.ndarray) -> Rollout:
    """Finished answers as a rollout, with the verifier's rewards (B,)."""
    return Rollout(
        prompts=prompts,
        tokens=draft.tokens,
        mask=draft.mask,
        old_logp=draft.logp,
        entropy=draft.entropy,
        proxy_logp=draft.proxy,
        reward=torch.as_tensor(reward, device=draft.tokens.device),
        group=group,
        advantage=torch.zeros_like(draft.mask),
        ref_logp=torch.zeros_like(draft.mask),
        written_by=draft.written_by,
    )
