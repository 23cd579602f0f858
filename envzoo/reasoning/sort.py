"""TextSort: sort digits in ascending order."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.task import DIGIT, EOS, Task, TaskKernels, write_numbers

ARROW = DIGIT + 10
MOST_DIGITS = 16


@njit(cache=True)
def _write(parameters, numbers, prompts):
    write_numbers(prompts, numbers, ARROW)


@njit(cache=True)
def _count(prompts, i, counts):
    """Count how often each digit occurs in row i, into counts (10,); returns False if the row is not a prompt."""
    length = prompts.shape[1] - 1
    counts[:] = 0
    for k in range(length):
        digit = prompts[i, k] - DIGIT
        if not 0 <= digit <= 9:
            return False
        counts[digit] += 1
    return prompts[i, length] == ARROW


@njit(cache=True)
def _recognise(parameters, prompts):
    result, counts = np.empty(prompts.shape[0], np.bool_), np.zeros(10, np.int64)
    for i in range(result.size):
        result[i] = _count(prompts, i, counts)
    return result


@njit(cache=True)
def _verify(parameters, prompts, answers, ends):
    rewards, counts = np.zeros(prompts.shape[0], np.float32), np.zeros(10, np.int64)
    for i in range(rewards.size):
        if not _count(prompts, i, counts) or ends[i] != prompts.shape[1] - 1:
            continue
        right, before = True, 0
        for k in range(ends[i]):
            digit = answers[i, k] - DIGIT
            if not before <= digit <= 9 or counts[digit] == 0:
                right = False
                break
            counts[digit] -= 1
            before = digit
        rewards[i] = right
    return rewards


@njit(cache=True)
def _demonstrate(parameters, prompts, noise, streams, answers):
    counts = np.zeros(10, np.int64)
    length = prompts.shape[1] - 1
    for i in range(prompts.shape[0]):
        _count(prompts, i, counts)
        k = 0
        for digit in range(10):
            for _ in range(counts[digit]):
                answers[i, k] = DIGIT + digit
                k += 1
        answers[i, length] = EOS
        if uniform(streams, i) < noise:
            k = integer(streams, i, length - 1)
            answers[i, k], answers[i, k + 1] = answers[i, k + 1], answers[i, k]


class Sort(Task):
    """Problems of TextSort; see `TextSort` for the manual and the arguments."""

    name = "TextSort"
    alphabet = "0123456789>"
    ignored = " ,"
    warm_up_noise = 1.0
    kernels = TaskKernels(_write, _recognise, _verify, _demonstrate)

    def __init__(self, length: int = 6) -> None:
        length = check_whole("length", length, 2)
        if length > MOST_DIGITS:
            raise EnvzooError(f"length is {length}; expected at most {MOST_DIGITS}")
        self.prompt_length = self.answer_length = length + 1
        self.instruction = "Write the digits before > in ascending order, as in 013 for 301."
        self._number([10**length])


@with_shared_manual
class TextSort(TextEpisode):
    """Sort the given digits in ascending order.

    ## Description
    The answer to the prompt "301>" is "013". There is exactly one right answer.

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(13)`, the next token: 0 padding (never
    right), 1 the end token, then "0123456789>".

    $observation
    1 for the right answer, otherwise 0, when the answer ends. In the text environment spaces and commas are ignored.

    $info_start_and_end
    - `length` (6): how many digits, 2 to 16.
    - `split` ("train"): "train", "evaluation" or "all"; they share no sequence of digits.

    ## Demonstrations
    The right answer. In a flawed demonstration two neighbouring digits are swapped.

    ## Registered ids
    - `envzoo/TextSort-v0`: the text environment, one answer per step.
    - `envzoo/TextSort-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(self, length: int = 6, split: str = "train") -> None:
        super().__init__(Sort(length), split)


TextSortEnv, TextSortTokensEnv, TextSortTokensVectorEnv = make_faces(TextSort)
