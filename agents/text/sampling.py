"""Sampling of answers from a language model in batches, completely or a few tokens at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.text.codec import Codec, Dialogue
from envzoo.agents.text.losses.tokens import entropy_of_log_probs
from envzoo.agents.text.models.draw import APART, draw
from envzoo.agents.text.models.language import LanguageModel
from envzoo.agents.text.rollouts import TextRollout
from envzoo.errors import NonFiniteError
from envzoo.moved import former_names
from envzoo.reasoning.task import DONE


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are sampled, and what is recorded.

    Attributes:
        generator: Random generator on the device of the model; None samples greedily.
        temperature: Sampling temperature.
        base_temperature: Temperature of the log-probabilities and entropies that are recorded.
        temperature_of: Temperatures (B,) as a function of entropies (B,), instead of `temperature`.
        record: Computes further tensors (B,) by name from the log-probabilities (B, V) at the base temperature and the
            sampled tokens (B,); see `Method.record`.
        records: Names of these tensors.
        policy: Number of weight updates of the model, recorded with each token; -1 if nobody will ask.
    """

    generator: torch.Generator | None = None
    temperature: float = 1.0
    base_temperature: float = 1.0
    temperature_of: Callable[[Tensor], Tensor] | None = None
    record: Callable[[Tensor, Tensor], dict[str, Tensor]] | None = None
    records: tuple[str, ...] = ()
    policy: int = -1


@dataclass
class PartialCompletions:
    """Answers that are being written; the tensors are filled in place.

    Attributes:
        tokens: (B, T) int64, padded.
        mask: (B, T) float, 1 where the model wrote.
        logp: (B, T), log-probability at the base temperature.
        entropy: (B, T), entropy in nats at the base temperature.
        written_by: (B, T) int64, see `SamplingParams.policy`.
        alive: (B,) bool, which answers are unfinished.
        extras: (B, T) tensors by name, see `SamplingParams.record`.
    """

    tokens: Tensor
    mask: Tensor
    logp: Tensor
    entropy: Tensor
    written_by: Tensor
    alive: Tensor
    extras: dict[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors but the extras by name."""
        return {name: getattr(self, name) for name in COMPLETION_TENSORS}

    def rows(self, index: Tensor) -> PartialCompletions:
        """Copy some of the answers."""
        extras = {name: value[index] for name, value in self.extras.items()}
        return PartialCompletions(**{name: value[index] for name, value in self.tensors().items()}, extras=extras)

    def put(self, index: Tensor, other: PartialCompletions) -> None:
        """Overwrite the rows at `index` by other answers, in place."""
        for name, value in self.tensors().items():
            value[index] = getattr(other, name)
        for name, value in self.extras.items():
            value[index] = other.extras[name]

    def append(self, other: PartialCompletions) -> PartialCompletions:
        """Concatenate two batches of answers."""
        tensors = {name: torch.cat([value, getattr(other, name)]) for name, value in self.tensors().items()}
        extras = {name: torch.cat([value, other.extras[name]]) for name, value in self.extras.items()}
        return PartialCompletions(**tensors, extras=extras)


COMPLETION_TENSORS = ("tokens", "mask", "logp", "entropy", "written_by", "alive")


def blank(rows: int, places: int, pad: int, device: torch.device, records: Sequence[str] = ()) -> PartialCompletions:
    """Make empty answers of up to `places` tokens, with the given extras."""
    tokens = torch.full((rows, places), pad, dtype=torch.int64, device=device)
    mask, logp, entropy = (torch.zeros(rows, places, device=device) for _ in range(3))
    alive = torch.ones(rows, dtype=torch.bool, device=device)
    extras = {name: torch.zeros(rows, places, device=device) for name in records}
    return PartialCompletions(tokens, mask, logp, entropy, torch.full_like(tokens, -1), alive, extras)


def _draw(logits: Tensor, params: SamplingParams) -> tuple[Tensor, Tensor, Tensor]:
    """Sample tokens (B,) from logits (B, V); also their log-probabilities and entropies at the base temperature."""
    base, generator = params.base_temperature, params.generator
    if generator is not None and params.temperature_of is None and _in_kernels(logits):
        return _draw_in_kernels(logits, base, params.temperature, generator)
    log_prob = torch.log_softmax(logits / base, -1)
    prob = log_prob.exp()
    entropy = entropy_of_log_probs(log_prob)
    if generator is None:
        token = log_prob.argmax(-1)
    else:
        if params.temperature_of is not None:
            prob = torch.softmax(logits / params.temperature_of(entropy)[:, None], -1)
        elif params.temperature != base:
            prob = torch.softmax(logits / params.temperature, -1)
        race = torch.empty_like(prob).exponential_(generator=generator)
        token = (prob / race).argmax(-1)
    return token, log_prob.gather(-1, token[:, None]).squeeze(-1), entropy


def _in_kernels(logits: Tensor) -> bool:
    return logits.device.type == "cpu" and logits.dtype == torch.float32


def _draw_in_kernels(
    logits: Tensor, base: float, temperature: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    rows = len(logits)
    token, logp, entropy = torch.empty(rows, dtype=torch.int64), torch.empty(rows), torch.empty(rows)
    uniform = torch.rand(rows, generator=generator)
    scratch = np.empty((2, logits.shape[1] + APART), np.float32)[:, : logits.shape[1]]
    draw(
        logits.contiguous().numpy(), np.float32(base), np.float32(temperature), uniform.numpy(), *scratch,
        token.numpy(), logp.numpy(), entropy.numpy(),
    )  # fmt: skip
    if bool(entropy.isnan().any()):  # 0 * -inf of tokens whose logit is -inf; other NaNs stay
        entropy = entropy_of_log_probs(torch.log_softmax(logits / base, -1))
    return token, logp, entropy


@torch.no_grad()
def write(
    model: LanguageModel,
    codec: Codec,
    ids: Tensor,
    completions: PartialCompletions,
    params: SamplingParams,
    first: int = 0,
    last: int | None = None,
    dialogue: Dialogue | None = None,
) -> None:
    """Sample the tokens first, ..., last - 1 of answers in place, stopping early once all answers have ended.

    Args:
        model: The model.
        codec: The mapping between the tokens of the model and those of the task.
        ids: (Q, W) int64, what the model has read: prompts and the first `first` tokens of their answers. B / Q answers
            belong to each row.
        completions: B answers, of which the first `first` tokens are written.
        params: How tokens are sampled, and what is recorded.
        first: Position of the first token to sample.
        last: Position before which to stop; None for the maximum length.
        dialogue: For tasks of several turns, whose replies are inserted into the answers.

    Raises:
        NonFiniteError: The logits of the model are not finite.
    """
    device = ids.device
    c = completions
    last = c.tokens.shape[1] if last is None else min(last, c.tokens.shape[1])
    logits, cache = model.prefill(ids, len(c.tokens) // len(ids))
    c.written_by[:, first:last] = params.policy
    for k in range(first, last):
        token, logp, entropy = _draw(logits, params)
        writes = c.alive
        if dialogue is not None:
            following = torch.as_tensor(dialogue.following(c.tokens.cpu().numpy(), k), device=device)
            c.alive = following != DONE
            writes = following == -1
            token = torch.where(following >= 0, following, token)  # its probability is not kept
        token = torch.where(c.alive, token, codec.pad)
        c.tokens[:, k] = token
        c.mask[:, k] = writes
        c.logp[:, k] = logp
        c.entropy[:, k] = entropy
        if params.record is not None:
            log_probs = torch.log_softmax(logits / params.base_temperature, -1)
            for name, value in params.record(log_probs, token.clamp_min(0)).items():
                c.extras[name][:, k] = value
        if dialogue is None:
            c.alive = c.alive & ~codec.ends(token)
        if k + 1 == last or not bool(c.alive.any()):
            break
        logits = model.step(token, ids.shape[1] + k - first, cache)
    for recorded in (c.logp, c.entropy, *c.extras.values()):
        recorded.copy_(torch.where(c.mask > 0, recorded, 0.0))
    if not bool(torch.isfinite(c.logp).all() & torch.isfinite(c.entropy).all()):
        raise NonFiniteError(
            "the language model's logits became NaN or infinite while it wrote answers; try a smaller learning rate"
        )


def sample_answers(
    model: LanguageModel, codec: Codec, prompts: np.ndarray, copies: int, params: SamplingParams
) -> TextRollout:
    """Sample several answers to each prompt, and verify them.

    Args:
        model: The model.
        codec: The mapping between the tokens of the model and those of the task; in tasks of several turns it inserts
            the replies into the answers.
        prompts: (Q, P) int64, in the ids of the task.
        copies: Answers per prompt (G).
        params: How tokens are sampled, and what is recorded.

    Returns:
        B = Q G answers.

    Raises:
        NonFiniteError: The logits of the model are not finite.
    """
    device, rows = model.device, len(prompts) * copies
    repeated = np.repeat(prompts, copies, 0)
    dialogue = codec.dialogue(repeated) if codec.task.multi_turn else None
    completions = blank(rows, codec.answer_length, codec.pad, device, params.records)
    ids = torch.as_tensor(codec.encode(prompts), device=device)
    write(model, codec, ids, completions, params, dialogue=dialogue)
    tokens = completions.tokens.cpu().numpy()
    reward = codec.reward(repeated, tokens) if dialogue is None else dialogue.reward(tokens)
    group = torch.arange(len(prompts), device=device).repeat_interleave(copies)
    return as_rollout(completions, torch.as_tensor(prompts, device=device).repeat_interleave(copies, 0), group, reward)


def as_rollout(completions: PartialCompletions, prompts: Tensor, group: Tensor, reward: np.ndarray) -> TextRollout:
    """Convert finished answers to a rollout, with the rewards (B,) of the verifier."""
    return TextRollout(
        prompts=prompts,
        tokens=completions.tokens,
        mask=completions.mask,
        old_logp=completions.logp,
        entropy=completions.entropy,
        reward=torch.as_tensor(reward, device=completions.tokens.device),
        group=group,
        advantage=torch.zeros_like(completions.mask),
        ref_logp=torch.zeros_like(completions.mask),
        written_by=completions.written_by,
        extras=completions.extras,
    )


__getattr__ = former_names(
    __name__, {"Manner": f"{__name__}:SamplingParams", "Draft": f"{__name__}:PartialCompletions"}
)
