"""Construction of the language model that a config names, and of its codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from envzoo.agents.text.codec import CharacterCodec, Codec
from envzoo.agents.text.config import TextConfig
from envzoo.agents.text.models.language import CharacterTransformer, LanguageModel
from envzoo.agents.text.models.pretrained import ModelFiles, end_tokens, from_files, load_pretrained
from envzoo.agents.text.tokenizer_codec import TokenizerCodec
from envzoo.reasoning.task import Task


def tiny_model(config: TextConfig, task: Task, generator: torch.Generator) -> tuple[LanguageModel, Codec]:
    """Make a transformer over the characters of the task, with initial weights from a generator on the CPU."""
    c, places = config, task.prompt_length + task.answer_length
    sizes = (task.vocab_size, places, c.model_dim, c.model_layers, c.model_heads)
    return CharacterTransformer(*sizes, generator=generator), CharacterCodec(task)


def pretrained_model(
    config: TextConfig, task: Task, files: Mapping[str, Any] | None
) -> tuple[LanguageModel, Codec, ModelFiles]:
    """Load a model of Hugging Face, and the files of it that are saved with an agent.

    Args:
        config: The config that names the model.
        task: The puzzles.
        files: Files that were saved with an agent. The model is then built from them, without its weights. None loads
            the model from its folder or the hub.

    Raises:
        EnvzooError: The model cannot be loaded, or does not fit the task.
    """
    c = config
    network, tokenizer = load_pretrained(c.model, c.model_dtype) if files is None else from_files(files, c.model_dtype)
    ends = end_tokens(network, tokenizer)
    codec = TokenizerCodec(task, tokenizer, ends, c.max_answer_tokens, network.places, c.model)
    return network, codec, ModelFiles(network, tokenizer)
