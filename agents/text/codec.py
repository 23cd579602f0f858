"""How prompts and answers of a task become tokens of a language model, and are judged; here for the task's characters.

`envzoo.agents.text.tokenizer_codec` does it for models that come with a tokenizer of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from envzoo.errors import EnvzooError
from envzoo.reasoning.task import EOS, PAD, Task


class Dialogue(ABC):
    """Answers that are being written in turns, B of them, to each of which the task replies."""

    @abstractmethod
    def following(self, tokens: np.ndarray, k: int) -> np.ndarray:
        """Who writes place k of tokens (B, T), of which the first k stand: int64 (B,).

        MODEL (-1), DONE (-2) where the answer has ended, or the token with which the task replies. To be asked once
        for each place, in order.
        """

    @abstractmethod
    def reward(self, tokens: np.ndarray) -> np.ndarray:
        """Rewards (B,) float32 of the answers (B, T)."""


class Codec(ABC):
    """Translates between a task and a model.

    Prompts are always given as the task's own ids (B, P); `encode` makes the model's of them.

    Attributes:
        task: The puzzles.
        answer_length: Most tokens of an answer (T), replies included.
        pad: What stands in answers (B, T) after their ends; no token of the model.
    """

    task: Task
    answer_length: int
    pad: int

    @abstractmethod
    def encode(self, prompts: np.ndarray) -> np.ndarray:
        """Prompts (B, P) in the model's tokens (B, W) int64, on the right; what is free on the left is the model's to
        pass over."""

    @abstractmethod
    def ends(self, tokens: Tensor) -> Tensor:
        """Which tokens (...) end an answer or a turn, bool."""

    @abstractmethod
    def dialogue(self, prompts: np.ndarray) -> Dialogue:
        """Answers in turns to prompts (B, P), none begun."""

    @abstractmethod
    def reward(self, prompts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Rewards (B,) float32 of whole answers (B, T), in tasks of one turn."""

    @abstractmethod
    def demonstrations(self, prompts: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Answers in the task's ids (B, L) as the model's tokens (B, T), and which of them it would write, bool."""

    @abstractmethod
    def text(self, tokens: np.ndarray) -> str:
        """An answer (T,) as the text face of the environment takes it."""

    @abstractmethod
    def shown(self, tokens: np.ndarray) -> str:
        """An answer (T,) for a person, with its end and the replies, on one line."""

    @abstractmethod
    def histories(self, observations: Sequence[str]) -> tuple[np.ndarray, int]:
        """Observations of the text face, which a text has to be written to.

        Returns:
            The model's tokens (B, W) int64 as from `encode`, and how many it may write.

        Raises:
            EnvzooError: For an observation that is not of this task.
        """


class CharacterDialogue(Dialogue):
    """As `Task.advance` has it."""

    def __init__(self, task: Task, prompts: np.ndarray):
        self.task, self.prompts = task, prompts

    def following(self, tokens: np.ndarray, k: int) -> np.ndarray:
        """See `Dialogue`."""
        return self.task.advance(self.prompts, tokens, k)

    def reward(self, tokens: np.ndarray) -> np.ndarray:
        """See `Dialogue`."""
        return self.task.verify(self.prompts, tokens, (tokens != PAD).sum(1))


class CharacterCodec(Codec):
    """The model's tokens are the task's: nothing is to be done."""

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
            EnvzooError: Also in a task of several turns, which the tiny model acts in token by token.
        """
        if self.task.multi_turn:
            name = self.task.name
            raise EnvzooError(f"the tiny model acts in {name} token by token; evaluate it in envzoo/{name}-Tokens-v0")
        return self.task.prompt_ids(observations), self.answer_length
