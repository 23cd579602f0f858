"""Tasks in the tokens of a pretrained model: its chat template with instruction and prompt, and answers as text.

An answer is the decoded text up to a token that ends a turn, without surrounding white space, and is verified by the
task like any text. In a task of several turns each turn is such a text, followed by the reply of the task, which the
chat template formats as the next message of the user.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.text.codec import Codec, Dialogue
from envzoo.agents.text.models.pretrained import NOTHING
from envzoo.errors import EnvzooError
from envzoo.reasoning.task import DONE, EOS, MODEL, PAD, Task

SPARE = 8  # tokens beyond twice what a task needs
_MOST_REMEMBERED = 4096  # prompts
_ANSWER = "0123456789"  # stands for an answer while the template around it is looked at


class TokenizerCodec(Codec):
    """A task in the tokens of a tokenizer.

    Args:
        task: The puzzles.
        tokenizer: A tokenizer of transformers.
        ends: Ids that end an answer; the first is used in demonstrations.
        max_answer_tokens: Maximum number of tokens of an answer, or of a turn; None for twice what the task needs,
            plus 8.
        places: Maximum sequence length of the model; None for no limit.
        name: Name of the model, for error messages.

    Raises:
        EnvzooError: The tokenizer has no end-of-sequence token or lacks characters that the task needs, or the
            sequences are too long for the model.
    """

    pad = NOTHING

    def __init__(
        self,
        task: Task,
        tokenizer: Any,
        ends: Sequence[int],
        max_answer_tokens: int | None = None,
        places: int | None = None,
        name: str = "the model",
    ):
        if not ends:
            raise EnvzooError(f"the tokenizer of {name} has no end-of-sequence token, so no answer would ever end")
        self.task, self.tokenizer = task, tokenizer
        self.templated = bool(getattr(tokenizer, "chat_template", None))
        # A template may end turns with another of the tokens than texts end with.
        around = self._template("", _ANSWER, "").rpartition(_ANSWER)[2] if self.templated else ""
        self._ends = np.array(sorted(ends, key=lambda end: not self._opens(around, end)), np.int64)
        missing = [sign for sign in task.alphabet if sign.strip() and self._decode(self._ids(sign)) != sign]
        if missing:
            raise EnvzooError(
                f"the tokenizer of {name} lacks characters that {task.name} needs: {' '.join(missing)}; choose another "
                "model or task"
            )
        self._known: dict[bytes, list[int]] = {}
        self._replies: dict[str, list[int]] = {}
        self._measure(max_answer_tokens)
        most = self.encode(task.sample(64)).shape[1] + self.answer_length
        if places is not None and most > places:
            raise EnvzooError(
                f"prompts of {task.name} with answers of {self.answer_length} tokens take {most} tokens, but {name} "
                f"reads {places}; lower max_answer_tokens or choose another model"
            )

    def _measure(self, asked: int | None) -> None:
        """Compute the maximum number of tokens of a turn and of a complete answer."""
        self.turn_length = asked or 2 * self.task.answer_length + SPARE
        self.answer_length = self.turn_length
        if not self.task.multi_turn:
            return
        # Blind guesses take all the turns there are.
        prompts = self.task.sample(64)
        turns, spoken, replied = 1, 1, 0
        for prompt, answer in zip(prompts, self.task.demo(prompts, 1.0), strict=True):
            parts = self._parts(prompt, answer)
            lengths = [len(self._part(text, mine)) for text, mine in parts]
            own = [mine for _, mine in parts]
            turns = max(turns, sum(own))
            spoken = max([spoken] + [n for n, mine in zip(lengths, own, strict=True) if mine])
            replied = max([replied] + [n for n, mine in zip(lengths, own, strict=True) if not mine])
        self.turn_length = asked or 2 * spoken + SPARE
        self.answer_length = turns * self.turn_length + (turns - 1) * (replied + 1)

    # ------------------------------------------------------------- text and ids

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _decode(self, ids: Sequence[int]) -> str:
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text.strip()

    def _sign(self, token: int) -> str:
        return self.tokenizer.decode([int(token)])

    def _opens(self, text: str, token: int) -> bool:
        return text.lstrip().startswith(self._sign(token))

    def _template(self, *messages: str) -> str:
        """Format the messages of user and model so far, up to the next message of the model."""
        roles = ("user", "assistant")
        chat = [{"role": roles[k % 2], "content": text} for k, text in enumerate(messages)]
        # Templates of models that think aloud leave it out when asked to; others do not look at the variable.
        return self.tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )

    def _prompt(self, prompt: np.ndarray) -> list[int]:
        key = prompt.tobytes()
        if key not in self._known:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            asked = f"{self.task.instruction}\n\n{self.task.text(prompt)}"
            if self.templated:
                ids = self._ids(self._template(asked))
            else:  # with the token that opens a text, where the tokenizer has one
                ids = list(self.tokenizer(f"{asked}\n")["input_ids"])
                while ids and ids[-1] in self._ends:
                    ids.pop()
            self._known[key] = ids
        return self._known[key]

    def _part(self, text: str, mine: bool, ended: bool = True) -> list[int]:
        """Encode a turn of the model with its end, or a reply and what leads to the next turn.

        Args:
            text: The text.
            mine: Whether it is a turn of the model.
            ended: Whether the turn before a reply has its end token.
        """
        if mine:
            return [*self._ids(text), int(self._ends[0])]
        if text not in self._replies:
            around = f"\n{text}\n"
            if self.templated:
                around = self._template("", _ANSWER, text).rpartition(_ANSWER)[2]
                if self._opens(around, self._ends[0]):
                    around = around.lstrip().removeprefix(self._sign(self._ends[0]))
            self._replies[text] = self._ids(around)
        return ([] if ended else [int(self._ends[0])]) + self._replies[text]

    def _parts(self, prompt: np.ndarray, answer: np.ndarray, length: int | None = None) -> list[tuple[str, bool]]:
        """Split an answer in several turns (L,) into texts in order, each with whether the model wrote it."""
        length = int((answer != PAD).sum()) if length is None else length
        mask = self.task.model_mask(prompt[None], answer[None, :length])[0] if length else np.zeros(0, bool)
        parts: list[tuple[list[int], bool]] = []
        for k, token in enumerate(answer[:length].tolist()):
            if not parts or parts[-1][1] != mask[k] or (mask[k] and answer[k - 1] == EOS):
                parts.append(([], bool(mask[k])))
            parts[-1][0].append(token)
        return [(self.task.signs([t for t in tokens if t != EOS]), mine) for tokens, mine in parts]

    # -------------------------------------------------------------------- codec

    def encode(self, prompts: np.ndarray) -> np.ndarray:
        """See `Codec`."""
        return _on_the_right([self._prompt(prompt) for prompt in np.ascontiguousarray(prompts)])

    def ends(self, tokens: Tensor) -> Tensor:
        """See `Codec`."""
        return torch.isin(tokens, torch.as_tensor(self._ends, device=tokens.device))

    def dialogue(self, prompts: np.ndarray) -> Dialogue:
        """See `Codec`."""
        return TextDialogue(self, prompts)

    def reward(self, prompts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """See `Codec`; a truncated answer is wrong."""
        ended = np.isin(tokens, self._ends).any(1)
        ids = np.stack([self.task.answer_ids(self.text(row)) for row in tokens])
        return np.where(ended, self.task.verify(prompts, ids), np.float32(0))

    def demonstrations(self, prompts: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Codec`.

        Raises:
            EnvzooError: A demonstration is longer than the maximum length of an answer.
        """
        tokens = np.full((len(answers), self.answer_length), NOTHING, np.int64)
        mask = np.zeros(tokens.shape, np.bool_)
        for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            parts = self._parts(prompt, answer) if self.task.multi_turn else [(self.task.text(answer), True)]
            at = 0
            for text, mine in parts:
                part = self._part(text, mine)
                if at + len(part) > self.answer_length or (mine and len(part) > self.turn_length):
                    raise EnvzooError(
                        f"a demonstration of {self.task.name} does not fit into the {self.turn_length} tokens of an "
                        "answer; raise max_answer_tokens"
                    )
                tokens[i, at : at + len(part)], mask[i, at : at + len(part)] = part, mine
                at += len(part)
        return tokens, mask

    def text(self, tokens: np.ndarray) -> str:
        """See `Codec`."""
        row = tokens[tokens != NOTHING]
        end = np.flatnonzero(np.isin(row, self._ends))
        return self._decode(row[: end[0]] if end.size else row)

    def shown(self, tokens: np.ndarray) -> str:
        """See `Codec`."""
        text = self.tokenizer.decode(tokens[tokens != NOTHING].tolist(), clean_up_tokenization_spaces=False)
        return " " + text.replace("\n", "\\n")

    def histories(self, observations: Sequence[str]) -> tuple[np.ndarray, int]:
        """See `Codec`."""
        if not self.task.multi_turn:
            return self.encode(self.task.prompt_ids(observations)), self.answer_length
        rows = []
        for text in observations:
            width = self.task.prompt_length
            prompt = self.task.prompt_ids([text[:width]])[0]
            row = list(self._prompt(prompt))
            for part, mine in self._parts(prompt, self.task.answer_ids(text[width:]), len(text) - width):
                row += self._part(part, mine)
            rows.append(row)
        return _on_the_right(rows), self.turn_length


class TextDialogue(Dialogue):
    """Answers in turns, each a text; the answers are also kept in the ids of the task.

    Args:
        codec: Conversion between texts and tokens.
        prompts: (B, P).
    """

    def __init__(self, codec: TokenizerCodec, prompts: np.ndarray):
        self.codec, self.task, self.prompts = codec, codec.task, prompts
        rows = len(prompts)
        self.answers = np.full((rows, self.task.answer_length), PAD, np.int64)
        self.lengths, self.begun = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self.done = np.zeros(rows, np.bool_)
        self.replies: dict[int, deque[int]] = {}  # what is left of them, by row

    def following(self, tokens: np.ndarray, k: int) -> np.ndarray:
        """See `Dialogue`."""
        speaks = ~self.done & (k > self.begun)
        speaks[list(self.replies)] = False
        if k:
            ended = np.isin(tokens[:, k - 1], self.codec._ends)
            for row in np.flatnonzero(speaks & (ended | (k - self.begun >= self.codec.turn_length))):
                self._close(row, tokens[row, self.begun[row] : k], bool(ended[row]), tokens.shape[1] - k)
        result = np.where(self.done, DONE, MODEL)
        for row, reply in list(self.replies.items()):
            result[row] = reply.popleft()
            if not reply:
                del self.replies[row]
                self.begun[row] = k + 1
        return result

    def _close(self, row: int, turn: np.ndarray, ended: bool, room: int) -> None:
        """Pass a turn to the task, and take its reply."""
        prompt, answer = self.prompts[row : row + 1], self.answers[row : row + 1]
        at, following = int(self.lengths[row]), MODEL
        for token in self.task.answer_ids(self.codec.text(turn)):
            answer[0, at] = token
            at += 1
            following = int(self.task.advance(prompt, answer, at)[0])
            if following != MODEL or token == EOS:
                break
        said = at
        while following >= 0:
            answer[0, at] = following
            at += 1
            following = int(self.task.advance(prompt, answer, at)[0])
        self.lengths[row] = at
        reply = self.codec._part(self.task.signs(answer[0, said:at].tolist()), False, ended)
        # Without room for a word after the reply there is nothing left to say.
        self.done[row] = following == DONE or room <= len(reply)
        if not self.done[row]:
            self.replies[row] = deque(reply)

    def reward(self, tokens: np.ndarray) -> np.ndarray:
        """See `Dialogue`."""
        self.following(tokens, tokens.shape[1])  # the last turn, when it ends with the last place
        return self.task.verify(self.prompts, self.answers, self.lengths)


def _on_the_right(rows: list[list[int]]) -> np.ndarray:
    """Pad rows of ids on the left to one array."""
    result = np.full((len(rows), max(map(len, rows))), NOTHING, np.int64)
    for row, ids in zip(result, rows, strict=True):
        row[len(row) - len(ids) :] = ids
    return result
