"""Policies of responses for learners from pairs: a table of logits, and a small language model over characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.source import Preferences
from envzoo.agents.text.models.language import CharacterTransformer, answer_log_probs
from envzoo.errors import EnvzooError

PAD, EOS, FIRST = 0, 1, 2  # token ids; characters follow


class Responses(Protocol):
    """Encoded prompts and responses, N each: what a model scores.

    Attributes:
        prompts: (N, ...) int64.
        responses: (N, ...) int64.
        lengths: (N,) int64, numbers of tokens.
    """

    prompts: Tensor
    responses: Tensor
    lengths: Tensor


class TableModel(nn.Module):
    """Softmax policy over A responses with a row of logits per prompt.

    Args:
        prompts: Number of prompts (S).
        responses: Number of responses (A).
        log_reference: (A,) or (S, A), the logits to start from; None for zeros.
    """

    def __init__(self, prompts: int, responses: int, log_reference: np.ndarray | None):
        super().__init__()
        start = torch.zeros(prompts, responses)
        if log_reference is not None:
            start = torch.from_numpy(log_reference).float().expand(prompts, responses).clone()
        self.logits = nn.Parameter(start)

    @property
    def device(self) -> torch.device:
        """Device of the logits."""
        return self.logits.device

    def log_probs(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """Compute log pi(response | prompt), (B,), of prompts (B,) and responses (B, R): R per prompt, (B, R)."""
        log_pi = torch.log_softmax(self.logits, -1)
        return log_pi[prompts[:, None], responses]


class TextModel(nn.Module):
    """Base class of language models over prompts that are padded on the left and answers that are padded on the right.

    Attributes:
        network: The model, with the interface of `CharacterTransformer`.
        prompt_length, answer_length: Most tokens of a prompt, and of an answer with its end.
        pad: Id of padding.
        dim: Width of the hidden states.
    """

    network: Any
    prompt_length: int
    answer_length: int
    pad: int
    dim: int

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.network.device

    def ends(self, tokens: Tensor) -> Tensor:
        """Return which tokens end an answer, bool."""
        raise NotImplementedError

    def log_probs(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """Compute log pi(response | prompt), (B, R), of prompts (B, P) and responses (B, R, T).

        Each prompt is read once for all its responses.
        """
        return self.token_log_probs(prompts, responses).sum(-1)

    def token_log_probs(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """Compute log pi of each token, (B, R, U), of responses (B, R, T); 0 on padding, U the longest of them."""
        count, each, width = responses.shape
        flat = responses.reshape(count * each, width)
        which = torch.arange(count, device=flat.device).repeat_interleave(each)
        used = int((flat != self.pad).any(0).sum().clamp_min(1))
        logp, _ = answer_log_probs(self.network, prompts, flat[:, :used], 1.0, which)
        return torch.where(flat[:, :used] != self.pad, logp, 0.0).reshape(count, each, used)

    @torch.no_grad()
    def answer(self, prompts: Tensor, generator: torch.Generator | None, temperature: float = 1.0) -> Tensor:
        """Write answers (n, T) to prompts (n, P): greedily, or sampled with a generator."""
        count = len(prompts)
        answers = torch.full((count, self.answer_length), self.pad, device=prompts.device)
        alive = torch.ones(count, dtype=torch.bool, device=prompts.device)
        logits, cache = self.network.prefill(prompts)
        for k in range(self.answer_length):
            if generator is None:
                token = logits.argmax(-1)
            else:
                prob = torch.softmax(logits / temperature, -1)
                token = (prob / torch.empty_like(prob).exponential_(generator=generator)).argmax(-1)
            token = torch.where(alive, token, self.pad)
            answers[:, k] = token
            alive &= ~self.ends(token)
            if not bool(alive.any()) or k == self.answer_length - 1:
                break
            logits = self.network.step(token, self.prompt_length + k, cache)
        return answers


class CharacterModel(TextModel):
    """Transformer over the characters of texts, with prompts padded on the left and answers on the right.

    Args:
        alphabet: The characters.
        prompt_length, answer_length: Most characters of a prompt, and tokens of an answer, with its end.
        dim, layers, heads: Sizes of the transformer.
        generator: Random generator of the initial weights.
    """

    def __init__(
        self,
        alphabet: str,
        prompt_length: int,
        answer_length: int,
        dim: int,
        layers: int,
        heads: int,
        generator: torch.Generator,
    ):
        super().__init__()
        self.alphabet, self.prompt_length, self.answer_length = alphabet, prompt_length, answer_length
        self.pad, self.dim = PAD, dim
        self._ids = {sign: number for number, sign in enumerate(alphabet, FIRST)}
        places = prompt_length + answer_length
        size = len(alphabet) + FIRST
        self.network = CharacterTransformer(size, places, dim, layers, heads, pad=PAD, generator=generator)

    def ends(self, tokens: Tensor) -> Tensor:
        """Return which tokens end an answer, bool."""
        return tokens == EOS

    def states(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """Compute the last hidden states (B, T, D) before each token of responses (B, T) to prompts (B, P)."""
        x = self._hidden(torch.cat([prompts, responses[:, :-1]], 1))
        return self.network.norm(x[:, prompts.shape[1] - 1 :])

    def _hidden(self, ids: Tensor) -> Tensor:
        x = self.network._embed(ids, 0)
        for block in self.network.blocks:
            x, _, _ = block(x, None, 0)
        return x

    def final_states(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """Compute the last hidden states (B, R, D) at the ends of responses (B, R, T) to prompts (B, P)."""
        count, each, width = responses.shape
        flat = responses.reshape(count * each, width)
        x = self._hidden(torch.cat([prompts.repeat_interleave(each, 0), flat], 1))
        last = prompts.shape[1] + (flat != PAD).sum(1) - 1
        return self.network.norm(x[torch.arange(len(x), device=x.device), last]).reshape(count, each, -1)

    def next_tokens(
        self, prompts: Tensor, answers: Sequence[str], generator: torch.Generator | None
    ) -> list[str | None]:
        """Choose the next characters of unfinished answers (n texts) to prompts (n, P); None ends an answer."""
        ids = np.full((len(answers), self.answer_length), PAD, np.int64)
        for row, text in zip(ids, answers, strict=True):
            told = self._look_up("answer", text[: self.answer_length - 1], self.answer_length - 1)
            row[: len(told)] = told
        both = torch.cat([prompts, torch.from_numpy(ids).to(prompts.device)], 1)
        at = torch.tensor([self.prompt_length + min(len(text), self.answer_length - 1) - 1 for text in answers])
        logits = self.network(both)[torch.arange(len(answers)), at.to(both.device)]
        if generator is None:
            token = logits.argmax(-1)
        else:
            prob = torch.softmax(logits, -1)
            token = (prob / torch.empty_like(prob).exponential_(generator=generator)).argmax(-1)
        return [self.alphabet[k - FIRST] if k >= FIRST else None for k in token.tolist()]

    def encode_prompts(self, texts: Sequence[str]) -> np.ndarray:
        """Convert prompts to ids (n, P), padded on the left.

        Raises:
            EnvzooError: A prompt is too long, or has a character that the model does not know.
        """
        rows = np.full((len(texts), self.prompt_length), PAD, np.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = self._look_up("prompt", text, self.prompt_length)
            if ids:
                row[-len(ids) :] = ids
        return rows

    def encode_answers(self, texts: Sequence[str]) -> np.ndarray:
        """Convert answers to ids (n, T) with their ends, padded on the right; raises EnvzooError as for prompts."""
        rows = np.full((len(texts), self.answer_length), PAD, np.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = [*self._look_up("answer", text, self.answer_length - 1), EOS]
            row[: len(ids)] = ids
        return rows

    def _look_up(self, what: str, text: str, most: int) -> list[int]:
        if len(text) > most:
            raise EnvzooError(f"the {what} {text[:60]!r} has {len(text)} characters; the model takes at most {most}")
        strange = [sign for sign in text if sign not in self._ids]
        if strange:
            raise EnvzooError(
                f"the {what} {text[:60]!r} has the character {strange[0]!r}, which the model does not know"
            )
        return [self._ids[sign] for sign in text]

    def text(self, ids: Sequence[int]) -> str:
        """Convert one answer (T,) to text, up to its end."""
        row = [int(token) for token in ids]
        row = row[: row.index(EOS)] if EOS in row else row
        return "".join(self.alphabet[token - FIRST] for token in row if token >= FIRST)


def check_texts(data: Preferences) -> None:
    """Raise EnvzooError, naming the pair, if an answer is empty or both answers are equal."""
    for number, (chosen, rejected) in enumerate(zip(data.chosen, data.rejected, strict=True)):
        for name, text in (("chosen", chosen), ("rejected", rejected)):
            if not text:
                raise EnvzooError(f"pair {number} has an empty {name} answer; expected a text")
        if chosen == rejected:
            raise EnvzooError(f"pair {number} has the answer {chosen[:60]!r} twice; expected two different answers")


def check_numbers(data: Preferences) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return prompts (N,) and responses (N,) of numeric preferences.

    Raises:
        EnvzooError: They are no whole numbers from 0, one for each pair, or both answers of a pair are equal.
    """
    found = []
    for name in ("prompts", "chosen", "rejected"):
        array = np.asarray(getattr(data, name))
        if array.ndim != 1 or array.dtype.kind not in "iu" or (array < 0).any() or array.max() >= 10_000_000:
            raise EnvzooError(
                f"{name} are {array.dtype} of shape {array.shape}; a table takes whole numbers from 0, (N,)"
            )
        found.append(array.astype(np.int64))
    same = np.flatnonzero(found[1] == found[2])
    if same.size:
        raise EnvzooError(f"pair {same[0]} has the answer {found[1][same[0]]} twice; expected two different answers")
    return found[0], found[1], found[2]


def make_character_model(
    data: Preferences, more: str, sizes: dict[str, Any], generator: torch.Generator
) -> CharacterModel:
    """Make a model for the characters and lengths of the texts of preferences, and of the characters `more`."""
    texts = (*data.prompts, *data.chosen, *data.rejected, more)
    alphabet = "".join(sorted(set().union(*map(set, texts))))
    prompt = max(1, max(map(len, data.prompts)))
    answer = 1 + max(max(map(len, data.chosen)), max(map(len, data.rejected)))
    return CharacterModel(alphabet, prompt, answer, generator=generator, **sizes)
