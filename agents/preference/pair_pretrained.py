"""Causal language models of Hugging Face as policies of answers, for learners from pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.preference.pair_models import TextModel
from envzoo.agents.source import Preferences
from envzoo.agents.text.models.pretrained import (
    NOTHING,
    ModelFiles,
    PretrainedModel,
    end_tokens,
    from_files,
    load_pretrained,
)
from envzoo.errors import EnvzooError

SPARE = 8  # tokens of an answer beyond twice the longest of the data


class PretrainedAnswers(TextModel):
    """A causal language model with its tokenizer: prompts in its chat template, if it has one, and answers as text.

    Args:
        network: The model.
        tokenizer: Its tokenizer.
        data: Pairs, whose texts set the lengths.
        name: Name of the model, for error messages.

    Raises:
        EnvzooError: The tokenizer has no end-of-sequence token, or the texts are too long for the model.
    """

    def __init__(self, network: PretrainedModel, tokenizer: Any, data: Preferences, name: str):
        super().__init__()
        self.network, self.tokenizer, self.name = network, tokenizer, name
        self.pad, self.dim = NOTHING, network.model.config.get_text_config().hidden_size
        self._ends = end_tokens(network, tokenizer)
        if not self._ends:
            raise EnvzooError(f"the tokenizer of {name} has no end-of-sequence token, so no answer would ever end")
        self.templated = bool(getattr(tokenizer, "chat_template", None))
        self.prompt_length = max(len(self._prompt(text)) for text in data.prompts)
        told = max(len(self._answer(text)) for text in (*data.chosen, *data.rejected))
        self.answer_length = 2 * told + SPARE
        places = network.places
        if places is not None and self.prompt_length + told > places:
            raise EnvzooError(
                f"the pairs take up to {self.prompt_length + told} tokens, but {name} reads {places}; shorten them, or "
                "choose another model"
            )
        if places is not None:
            self.answer_length = min(self.answer_length, places - self.prompt_length)

    def ends(self, tokens: Tensor) -> Tensor:
        """Return which tokens end an answer, bool."""
        return torch.isin(tokens, torch.as_tensor(self._ends, device=tokens.device))

    def _prompt(self, text: str) -> list[int]:
        if self.templated:
            # Templates of models that think aloud leave it out when asked to; others do not look at the variable.
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        ids = list(self.tokenizer(text)["input_ids"])
        while ids and ids[-1] in self._ends:
            ids.pop()
        if not ids:
            raise EnvzooError(f"the prompt {text[:60]!r} has no tokens for {self.name}; expected a text")
        return ids

    def _answer(self, text: str) -> list[int]:
        return [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self._ends[0]]

    def encode_prompts(self, texts: Sequence[str]) -> np.ndarray:
        """Convert prompts to ids (n, P), padded on the left; raises EnvzooError if one is too long."""
        rows = np.full((len(texts), self.prompt_length), NOTHING, np.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = self._fit("prompt", text, self._prompt(text), self.prompt_length)
            row[len(row) - len(ids) :] = ids
        return rows

    def encode_answers(self, texts: Sequence[str]) -> np.ndarray:
        """Convert answers to ids (n, T) with their ends, padded on the right; raises EnvzooError if one is too long."""
        rows = np.full((len(texts), self.answer_length), NOTHING, np.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = self._fit("answer", text, self._answer(text), self.answer_length)
            row[: len(ids)] = ids
        return rows

    def _fit(self, what: str, text: str, ids: list[int], most: int) -> list[int]:
        if len(ids) > most:
            raise EnvzooError(f"the {what} {text[:60]!r} has {len(ids)} tokens; the model takes at most {most}")
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """Convert one answer (T,) to text, up to its end."""
        kept = []
        for token in map(int, ids):
            if token == NOTHING or token in self._ends:
                break
            kept.append(token)
        return self.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _hidden(self, ids: Tensor) -> Tensor:
        seen = ids >= 0
        positions = (seen.long().cumsum(1) - 1).clamp_min(0)
        keywords = {"position_ids": positions} if "position_ids" in self.network._takes else {}
        outputs = self.network.model(
            input_ids=ids.clamp_min(0),
            attention_mask=seen.long(),
            use_cache=False,
            output_hidden_states=True,
            **keywords,
        )
        return outputs.hidden_states[-1].float()

    def states(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """Compute the last hidden states (B, T, D) before each token of responses (B, T) to prompts (B, P)."""
        return self._hidden(torch.cat([prompts, responses[:, :-1]], 1))[:, prompts.shape[1] - 1 :]

    def final_states(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """Compute the last hidden states (B, R, D) at the ends of responses (B, R, T) to prompts (B, P)."""
        count, each, width = responses.shape
        flat = responses.reshape(count * each, width)
        x = self._hidden(torch.cat([prompts.repeat_interleave(each, 0), flat], 1))
        last = prompts.shape[1] + (flat != NOTHING).sum(1) - 1
        return x[torch.arange(len(x), device=x.device), last].reshape(count, each, -1)

    def state_dict(self, *arguments: Any, **keywords: Any) -> dict[str, Tensor]:
        """Return the weights of the network, tied ones once."""
        return self.network.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor], *arguments: Any, **keywords: Any) -> None:
        """Restore what `state_dict` returned; raises RuntimeError if names or shapes differ."""
        self.network.load_state_dict(state)


def make_pretrained(
    name: str, data: Preferences, files: Mapping[str, Any] | None
) -> tuple[PretrainedAnswers, ModelFiles]:
    """Load a model from a folder or the hub, or build it without its weights from the files saved with an agent."""
    network, tokenizer = load_pretrained(name) if files is None else from_files(files, "float32")
    return PretrainedAnswers(network, tokenizer, data, name), ModelFiles(network, tokenizer)


def check_same_tokens(model: PretrainedAnswers, reference: PretrainedAnswers) -> None:
    """Raise EnvzooError, naming a difference, unless two models have one tokenizer."""
    own, other = (found.tokenizer.get_vocab() for found in (model, reference))
    different = sorted(token for token in own.keys() | other.keys() if own.get(token) != other.get(token))
    sentence = f"the reference model {reference.name} has another tokenizer than {model.name}"
    if different:
        token = different[0]
        raise EnvzooError(f"{sentence}: {token!r} is {other.get(token)} there and {own.get(token)} here; expected one")
    texts = ("A text, with 3 words.", "x")
    if model._ends != reference._ends or any(
        (model._prompt(text), model._answer(text)) != (reference._prompt(text), reference._answer(text))
        for text in texts
    ):
        raise EnvzooError(f"{sentence}: texts give other tokens; expected one")
