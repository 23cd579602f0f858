"""Codecs convert prompts and answers of a task to tokens of a language model and back; here for the tiny model.

`envzoo.agents.text.tokenizer_codec` has the codec of models with a tokenizer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from envzoo.errors import EnvzooError
from envzoo.reasoning.task import EOS, PAD, Task


class Dialogue(ABC):
    """B answers that are being written in turns, with replies of the task after each turn."""

    @abstractmethod
    def following(self, tokens: np.ndarray, k: int) -> np.ndarray:
        """Return who writes token k, given tokens (B, T) of which the first k are written: int64 (B,).

        MODEL (-1), DONE (-2) if the answer has ended, or the next token of the reply of the task. Must be called once
        per position, in order.
        """

    @abstractmethod
    def reward(self, tokens: np.ndarray) -> np.ndarray:
        """Compute the rewards (B,) float32 of the answers (B, T)."""


class Codec(ABC):
    """Conversion between the tokens of a task and those of a model.

    Prompts are always given in the ids of the task (B, P); `encode` converts them to ids of the model.

    Attributes:
        task: The puzzles.
        answer_length: Maximum number of tokens of an answer (T), including replies.
        pad: Padding of answers (B, T) after their ends; not a token of the model.
    """

    task: Task
    answer_length: int
    pad: int

    @abstractmethod
    def encode(self, prompts: np.ndarray) -> np.ndarray:
        """Convert prompts (B, P) to tokens (B, W) int64 of the model, padded on the left with ids that it ignores."""

    @abstractmethod
    def ends(self, tokens: Tensor) -> Tensor:
        """Return which tokens (...) end an answer or a turn, bool."""

    @abstractmethod
    def dialogue(self, prompts: np.ndarray) -> Dialogue:
        """Start answers in turns to prompts (B, P)."""

    @abstractmethod
    def reward(self, prompts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Compute the rewards (B,) float32 of complete answers (B, T), in tasks of one turn."""

    @abstractmethod
    def demonstrations(self, prompts: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Convert answers (B, L) of the task to tokens (B, T) of the model, and tell which the model writes, bool."""

    @abstractmethod
    def text(self, tokens: np.ndarray) -> str:
        """Convert an answer (T,) to the text that the environment takes."""

    @abstractmethod
    def shown(self, tokens: np.ndarray) -> str:
        """Format an answer (T,) on one line for a person, with its end and the replies."""

    @abstractmethod
    def histories(self, observations: Sequence[str]) -> tuple[np.ndarray, int]:
        """Encode text observations that the model is to answer.

        Returns:
            Tokens (B, W) int64 of the model as from `encode`, and the maximum number of tokens it may write.

        Raises:
            EnvzooError: An observation is not one of this task.
        """


class CharacterDialogue(Dialogue):
    """Turns in the characters of the task, by `Task.advance`."""

    def __init__(self, task: Task, prompts: np.ndarray):
        self.task, self.prompts = task, prompts

    def following(self, tokens: np.ndarray, k: int) -> np.ndarray:
        """See `Dialogue`."""
        return self.task.advance(self.prompts, tokens, k)

    def reward(self, tokens: np.ndarray) -> np.ndarray:
        """See `Dialogue`."""
        return self.task.verify(self.prompts, tokens, (tokens != PAD).sum(1))


class CharacterCodec(Codec):
    """The codec of models whose tokens are those of the task."""

    pad = PAD

    def __init__(self, task: Task):
        self.task, self.answer_length = task, task.answer_length

    def encode(self, prompts: np.ndarray) -> np.ndarray:
        """See `Codec`."""
        return prompts

    def ends(self, tokens: Tensor) -> Tensor:
        """See `Codec`."""
        return tokens == EOS

    def dialogue(self, prompts: np.ndarray) -> Dialogue:
        """See `Codec`."""
        return CharacterDialogue(self.task, prompts)

    def reward(self, prompts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """See `Codec`."""
        return self.task.verify(prompts, tokens, (tokens != PAD).sum(1))

    def demonstrations(self, prompts: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Codec`."""
        if self.task.multi_turn:
            return answers, self.task.model_mask(prompts, answers)
        return answers, np.cumsum(answers == EOS, 1) - (answers == EOS) == 0  # up to and including the first end

    def text(self, tokens: np.ndarray) -> str:
        """See `Codec`."""
        return self.task.text(tokens)

    def shown(self, tokens: np.ndarray) -> str:
        """See `Codec`."""
        return self.task.signs(tokens.tolist()).rstrip("_")

    def histories(self, observations: Sequence[str]) -> tuple[np.ndarray, int]:
        """See `Codec`.

        Raises:
            EnvzooError: An observation is not one of this task, or the task has several turns, in which the tiny model
                acts token by token.
        """
        if self.task.multi_turn:
            name, where = self.task.name, self.task.env_id(tokens=True)
            raise EnvzooError(f"the tiny model acts in {name} token by token; evaluate it in {where}")
        return self.task.prompt_ids(observations), self.answer_length
