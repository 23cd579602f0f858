"""Task: a family of puzzles in token ids, with prompts, verified answers and demonstrations, all in batches.

This is the interface for trainers of language models. `envzoo.reasoning.episode` builds Gymnasium environments from it,
and `envzoo.reasoning.catalogue` finds tasks by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError, unknown
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import keys
from envzoo.reasoning.numbering import candidate_numbers, split_range
from envzoo.reasoning.transcript import COLUMNS

PAD, EOS, DIGIT = 0, 1, 2  # token ids; the digits, if a task has them, follow the two special tokens
PAD_SIGN, EOS_SIGN = "_", "$"  # characters of the two special tokens
SPLITS = ("train", "evaluation", "all")
MODEL, DONE = -1, -2  # writer of the next token: the model, or no one
_UNKNOWN = -1  # a character outside the task's alphabet


@njit(cache=True)
def answer_ends(answers, lengths):
    """Return the position of each answer's end-of-sequence token within its length, -1 if there is none; int64 (n,)."""
    ends = np.full(answers.shape[0], -1, np.int64)
    for i in range(answers.shape[0]):
        for k in range(min(lengths[i], answers.shape[1])):
            if answers[i, k] == EOS:
                ends[i] = k
                break
    return ends


@njit(cache=True)
def number_at(tokens, i, first, last):
    """Read the number spelled by tokens first, ..., last - 1 of row i, -1 if there is none (or over 18 digits)."""
    if last <= first or last > tokens.shape[1]:
        return -1
    value = 0
    for k in range(first, last):
        digit = tokens[i, k] - DIGIT
        if digit < 0 or digit > 9 or value >= 10**17:
            return -1
        value = 10 * value + digit
    return value


@njit(cache=True)
def write_number(tokens, i, first, width, value):
    """Write `value` with `width` digits, including leading zeros, to row i."""
    for k in range(width - 1, -1, -1):
        tokens[i, first + k] = DIGIT + value % 10
        value //= 10


@njit(cache=True)
def write_numbers(prompts, numbers, sign):
    """Write prompts that consist of a number, with leading zeros, and the token `sign`."""
    length = prompts.shape[1] - 1
    for i in range(numbers.size):
        write_number(prompts, i, 0, length, numbers[i])
        prompts[i, length] = sign


class TaskKernels(NamedTuple):
    """The kernels of a task; each takes the task's `parameters` first.

    write(parameters, numbers (n,), prompts (n, P)) writes the prompts of candidates; recognise(parameters, prompts)
    tells which rows are prompts, bool (n,); verify(parameters, prompts, answers, ends (n,)) gives rewards (n,) float32;
    demonstrate(parameters, prompts, noise, streams (n, 2), answers (n, L)) writes into answers full of padding.
    """

    write: Callable[..., None]
    recognise: Callable[..., np.ndarray]
    verify: Callable[..., np.ndarray] | None
    demonstrate: Callable[..., None]


class Task:
    """Puzzles of one kind and difficulty.

    Token ids: 0 is the padding (shown as "_"), 1 the end of a sequence (shown as "$"), and 2, 3, ... are the characters
    of `alphabet` in order. Prompts have a fixed width; answers have at most `answer_length` tokens, including the end.
    All arrays of ids are int64.

    Subclasses set the attributes without a default, call `_number`, and give `kernels`, or write `_prompts`,
    `_recognise`, `_verify` and `_demonstrate` themselves.

    Attributes:
        name: Name in the catalogue ("TextSumTo"); it ends with the version of the environments unless that is 0.
        kernels: The kernels that do the work.
        parameters: What they get first, a NamedTuple of scalars and arrays.
        alphabet: The task's characters.
        instruction: What is asked, one or two sentences for a person or a pretrained model.
        prompt_length: Tokens of a prompt (P).
        answer_length: The most tokens of an answer (L), its end-of-sequence token (or tokens) included.
        ignored: Characters without meaning in the answers that `verify_text` gets.
        warm_up_noise: A share of flawed demonstrations after which a small model still has much to learn.
        multi_turn: Whether the task writes into the answer as well (the replies of a tool).
        columns: Tokens in a line of the picture of an episode.
        num_kinds: Kinds of problem (such as lengths), which take turns in `sample`.
    """

    name: ClassVar[str]
    kernels: ClassVar[TaskKernels]
    parameters: Any = ()
    alphabet: str
    instruction: str
    prompt_length: int
    answer_length: int
    ignored: ClassVar[str] = " "
    warm_up_noise: ClassVar[float] = 0.8
    multi_turn: ClassVar[bool] = False
    columns: int = COLUMNS

    def _number(self, sizes: Sequence[int], tries: int = 1) -> None:
        """Set the number of candidates for problems of each kind, and how many of them each problem may use."""
        self._sizes, self._tries = np.array(sizes, np.int64), int(tries)
        self._signs = PAD_SIGN + EOS_SIGN + self.alphabet
        self._ids = np.full(128, _UNKNOWN, np.int64)
        for number, sign in enumerate(self.alphabet, 2):
            self._ids[ord(sign)] = number

    @property
    def vocab_size(self) -> int:
        """Number of token ids (V)."""
        return len(self._signs)

    @property
    def num_kinds(self) -> int:
        """Number of kinds of problem."""
        return self._sizes.size

    def env_id(self, tokens: bool = False) -> str:
        """Return the id of the task's text environment, or of its token environment."""
        name, _, version = self.name.partition("-v")
        return f"envzoo/{name}{'-Tokens' * tokens}-v{version or 0}"

    # --------------------------------------------------------------- prompts

    def num_distinct(self, split: str = "train") -> int:
        """Return how many consecutive prompts of a split are distinct before the first one repeats."""
        counts = [split_range(size, self._tries, self._split(split))[1] for size in self._sizes]
        return int(min(counts)) * self.num_kinds

    def sample(self, n: int, split: str = "train", seed: int = 0, start: int = 0) -> np.ndarray:
        """Return the prompts at positions start, ..., start + n - 1 of a split, in the order given by `seed`.

        The splits "train" (four fifths of the problems) and "evaluation" share no problem; "all" is their union.

        Returns:
            int64 (n, P), distinct for up to `num_distinct(split)` positions.

        Raises:
            UnknownNameError: The split is unknown.
            EnvzooError: n is below 1, or the seed or start is below 0.
        """
        n, start = check_whole("n", n, 1), check_whole("start", start, 0, 2**63 - 1)
        key = keys(np.array([check_whole("seed", seed, 0, None) % 2**64], np.uint64))[0]
        return self.at(np.arange(start, start + n, dtype=np.int64), split, key)

    def at(self, positions: np.ndarray, split: str, key: int) -> np.ndarray:
        """Return the prompts at `positions` (n,) of a split in the order of a key (uint64); see `sample`."""
        rows = np.arange(positions.size)
        attempts = np.zeros(positions.size, np.int64)
        prompts = np.zeros((positions.size, self.prompt_length), np.int64)
        number = self._split(split)
        while rows.size:
            numbers = candidate_numbers(positions[rows], attempts[rows], self._sizes, self._tries, number, key)
            written, valid = self._prompts(numbers)
            prompts[rows] = written
            rows = rows[~valid]
            attempts[rows] += 1
        return prompts

    def is_prompt(self, prompts: np.ndarray) -> np.ndarray:
        """Return which rows of ids (n, P) are prompts of this task, bool (n,)."""
        return self._recognise(self._rows("prompts", prompts, self.prompt_length))

    # --------------------------------------------------------------- answers

    def verify(self, prompts: np.ndarray, answers: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Compute the rewards of answers: 1 for a right one, 0 for any other.

        An answer ends with its first end-of-sequence token; later tokens are ignored, and a row without one is wrong.
        Any integers are allowed; the answer to a row that is not a prompt of the task is wrong.

        Args:
            prompts: Integers (n, P).
            answers: Integers (n, any width).
            lengths: Integers (n,): how many tokens of each row count; None for all.

        Returns:
            float32 (n,).

        Raises:
            EnvzooError: The shapes or dtypes do not fit.
        """
        prompts = self._rows("prompts", prompts, self.prompt_length)
        answers = self._rows("answers", answers, None, prompts.shape[0])
        if lengths is None:
            lengths = np.full(prompts.shape[0], answers.shape[1], np.int64)
        else:
            lengths = self._rows("lengths", np.asarray(lengths)[:, None], 1, prompts.shape[0])[:, 0]
        return self._judge(prompts, answers, lengths)

    def verify_text(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
        """Compute the rewards (n,) float32 of answers given as strings, without end tokens.

        Characters in `ignored` are removed first. Any string is allowed; one that is longer than an answer, or has
        characters outside the alphabet (including digits of other scripts), is wrong.

        Raises:
            EnvzooError: A prompt does not belong to this task, or the numbers of prompts and answers differ.
        """
        if len(prompts) != len(answers):
            raise EnvzooError(f"{len(answers)} answers came with {len(prompts)} prompts; expected equal numbers")
        if not len(prompts):
            return np.zeros(0, np.float32)
        return self.verify(self.prompt_ids(prompts), np.stack([self.answer_ids(text) for text in answers]))

    def demo(self, prompts: np.ndarray, noise: float = 0.0, seed: int = 0, start: int = 0) -> np.ndarray:
        """Generate demonstrations for supervised learning.

        Args:
            prompts: Prompts of this task (n, P).
            noise: Fraction of flawed demonstrations, from 0 (all are right) to 1. Each task defines its flawed
                demonstrations, which may be right by chance.
            seed: Row i depends only on its prompt, the seed and start + i.
            start: Index of the first row.

        Returns:
            int64 (n, L): answers with their end tokens, padded.

        Raises:
            EnvzooError: A row is not a prompt of this task, or the noise is outside [0, 1].
        """
        prompts = self._rows("prompts", prompts, self.prompt_length)
        recognised = self._recognise(prompts)
        if not recognised.all():
            raise EnvzooError(f"row {np.argmin(recognised)} of prompts is not a prompt of {self.name}")
        if not isinstance(noise, int | float | np.number) or isinstance(noise, bool) or not 0 <= noise <= 1:
            raise EnvzooError(f"noise is {noise!r}; expected a number from 0 to 1")
        key = keys(np.array([check_whole("seed", seed, 0, None) % 2**64], np.uint64))[0]
        first = check_whole("start", start, 0, 2**63 - 1)
        streams = np.zeros((prompts.shape[0], 2), np.uint64)
        streams[:, 0] = keys(np.arange(first, first + prompts.shape[0], dtype=np.uint64) ^ key)
        return self._demonstrate(prompts, float(noise), streams)

    def solve(self, prompts: np.ndarray) -> np.ndarray:
        """Return right answers (n, L) to prompts of this task (n, P)."""
        return self.demo(prompts)

    def advance(self, prompts: np.ndarray, answers: np.ndarray, lengths: np.ndarray | int) -> np.ndarray:
        """Determine the next token, or its writer, in unfinished answers.

        Args:
            prompts: Prompts (n, P).
            answers: Answers so far (n, width).
            lengths: Number of tokens written so far, int or (n,).

        Returns:
            int64 (n,): MODEL (-1) if the model writes the next token, DONE (-2) if the answer has ended (by its
            end-of-sequence token, or by its length), or the token that the task itself writes, such as the next one of
            a tool's reply.
        """
        prompts = self._rows("prompts", prompts, self.prompt_length)
        answers = self._rows("answers", answers, None, prompts.shape[0])
        lengths = np.broadcast_to(np.asarray(lengths, np.int64), prompts.shape[:1])
        return self._advance(prompts, answers, np.ascontiguousarray(lengths))

    def model_mask(self, prompts: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Return which tokens of whole answers (n, width) the model wrote, bool (n, width): not padding or replies."""
        answers = self._rows("answers", answers, None, len(prompts))
        mask = np.zeros(answers.shape, np.bool_)
        for k in range(answers.shape[1]):
            mask[:, k] = self.advance(prompts, answers, k) == MODEL
        return mask

    # ------------------------------------------------------------------ text

    def text(self, ids: np.ndarray) -> str:
        """Convert one row of ids (width,) to text, without padding at its ends and without the end token of an answer.

        An answer in several turns is shown in full, with "$" for the end of a turn.
        """
        row = [int(token) for token in np.asarray(ids)]
        if EOS in row and not self.multi_turn:
            row = row[: row.index(EOS)]
        return self.signs(row).strip(PAD_SIGN).removesuffix(EOS_SIGN)

    def signs(self, ids: Sequence[int]) -> str:
        """Convert ids to characters, one each: padding as "_", the end of a sequence as "$"."""
        return "".join(self._signs[token] if 0 <= token < self.vocab_size else PAD_SIGN for token in ids)

    def prompt_ids(self, texts: Sequence[str]) -> np.ndarray:
        """Convert prompts to ids (n, P); shorter ones are padded on the left.

        Raises:
            EnvzooError: A text is not a prompt of this task.
        """
        rows = np.full((len(texts), self.prompt_length), PAD, np.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = self._lookup(text)
            if 0 < ids.size <= row.size:
                row[row.size - ids.size :] = ids
        recognised = self._recognise(rows) if len(texts) else np.ones(0, bool)
        if not recognised.all():
            text = texts[int(np.argmin(recognised))]
            example = self.text(self.sample(1)[0])
            raise EnvzooError(f"{text[:80]!r} is not a prompt of {self.name}; expected a prompt such as {example!r}")
        return rows

    def answer_ids(self, text: str) -> np.ndarray:
        """Convert an answer to ids (L,), without ignored characters, with an end token and padding.

        Characters outside the alphabet become padding, and a text that is too long is cut to L characters without an
        end token: both make the answer wrong.
        """
        result = np.full(self.answer_length, PAD, np.int64)
        # The beginning of a very long text suffices to see that it is too long.
        kept = text[: 64 * self.answer_length].translate({ord(sign): None for sign in self.ignored})
        ids = self._lookup(kept[: self.answer_length])
        result[: ids.size] = np.where(ids == _UNKNOWN, PAD, ids)
        if ids.size < self.answer_length and len(text) <= 64 * self.answer_length:
            result[ids.size] = EOS
        return result

    def _lookup(self, text: str) -> np.ndarray:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        return np.where(codes < 128, self._ids[np.minimum(codes, 127)], _UNKNOWN)

    # ------------------------------------------------- what a subclass writes

    def _prompts(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the prompts (n, P) of candidates `numbers` (n,), and which of them can be solved, bool (n,)."""
        prompts = np.empty((numbers.size, self.prompt_length), np.int64)
        self.kernels.write(self.parameters, numbers, prompts)
        return prompts, np.ones(numbers.size, np.bool_)

    def _recognise(self, prompts: np.ndarray) -> np.ndarray:
        """Return which rows are prompts, bool (n,)."""
        return self.kernels.recognise(self.parameters, prompts)

    def _judge(self, prompts: np.ndarray, answers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Compute rewards (n,) float32 of answers whose first `lengths` tokens count; multi-turn tasks override it."""
        return self._verify(prompts, answers, answer_ends(answers, lengths))

    def _verify(self, prompts: np.ndarray, answers: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Compute rewards (n,) float32 of answers that end at `ends` (n,), -1 where they do not end."""
        return self.kernels.verify(self.parameters, prompts, answers, ends)

    def _demonstrate(self, prompts: np.ndarray, noise: float, streams: np.ndarray) -> np.ndarray:
        """Generate demonstrations (n, L); `streams` (n, 2) holds one random stream per row."""
        answers = np.full((prompts.shape[0], self.answer_length), PAD, np.int64)
        self.kernels.demonstrate(self.parameters, prompts, noise, streams, answers)
        return answers

    def _advance(self, prompts: np.ndarray, answers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        done = (answer_ends(answers, lengths) >= 0) | (lengths >= self.answer_length)
        return np.where(done, DONE, MODEL)

    # ----------------------------------------------------------------- checks

    def _split(self, split: str) -> int:
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        return SPLITS.index(split)

    def _rows(self, name: str, array: Any, width: int | None, rows: int | None = None) -> np.ndarray:
        array = np.asarray(array)
        fits = array.ndim == 2 and rows in (None, array.shape[0]) and width in (None, array.shape[1])
        if not fits or array.dtype.kind not in "iu":
            expected = f"({'n' if rows is None else rows}, {'any' if width is None else width})"
            raise EnvzooError(
                f"{name} of {self.name} are {array.dtype} of shape {array.shape}; expected integers of shape {expected}"
            )
        array = np.ascontiguousarray(array, np.int64)
        return array if array.flags.writeable else array.copy()
