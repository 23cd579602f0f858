"""The language model that a trainer's settings name, and how a task is put into its tokens."""

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
    """A transformer over the task's characters, with weights from the generator (on the CPU)."""
    c, places = config, task.prompt_length + task.answer_length
    sizes = (task.vocab_size, places, c.model_dim, c.model_layers, c.model_heads)
    return CharacterTransformer(*sizes, generator=generator), CharacterCodec(task)


def pretrained_model(
    config: TextConfig, task: Task, files: Mapping[str, Any] | None
) -> tuple[LanguageModel, Codec, ModelFiles]:
    """A model of Hugging Face, and what an agent's file keeps of it beside the weights.

    Args:
        config: Names the model.
        task: The puzzles.
        files: What such a file has kept; the model is then made of it, and its weights are to be loaded. None loads
            the model from its folder or the hub.

    Raises:
        EnvzooError: The model cannot be had, or does not suit the task.
    """
    c = config
    network, tokenizer = load_pretrained(c.model, c.model_dtype) if files is None else from_files(files, c.model_dtype)
    ends = end_tokens(network, tokenizer)
    codec = TokenizerCodec(task, tokenizer, ends, c.max_answer_tokens, network.places, c.model)
    return network, codec, ModelFiles(network, tokenizer)
