"""TextSumTo-v1: find digits with a given sum, the first of which is given, and one of which is forbidden."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.sum_to import MOST_TERMS, SPREAD
from envzoo.reasoning.task import DIGIT, EOS, Task, TaskKernels, number_at, write_number

PLUS, EQUALS, COLON, COMMA, EXCEPT = (DIGIT + 10 + k for k in range(5))


class Parameters(NamedTuple):
    """Parameters shared by all problems."""

    terms: int
    width: int  # number of digits of the total in the prompt
    table: np.ndarray  # int64 (problems, 3): total, first digit, forbidden digit
    ways: np.ndarray  # int64 (10, terms, 9 * terms + 1): tuples without a digit, by number of digits and sum
    known: np.ndarray  # bool (9 * terms + 1, 10, 10): which totals, first and forbidden digits are a problem


@njit(cache=True)
def _read(parameters, prompts, i):
    """Return total, first digit and forbidden digit of row i; the total is -1 if the row is not a prompt."""
    width = parameters.width
    signs = prompts[i, 0] == EQUALS and prompts[i, width + 1] == COMMA
    signs &= prompts[i, width + 3] == EXCEPT and prompts[i, width + 5] == COLON
    total = number_at(prompts, i, 1, width + 1)
    first, forbidden = prompts[i, width + 2] - DIGIT, prompts[i, width + 4] - DIGIT
    signs &= 0 <= total < parameters.known.shape[0] and 0 <= first <= 9 and 0 <= forbidden <= 9
    if not signs or not parameters.known[total, first, forbidden]:
        return -1, 0, 0
    return total, first, forbidden


@njit(cache=True)
def _write(parameters, numbers, prompts):
    width = parameters.width
    for i in range(numbers.size):
        problem = parameters.table[numbers[i]]
        prompts[i, 0] = EQUALS
        write_number(prompts, i, 1, width, problem[0])
        prompts[i, width + 1], prompts[i, width + 2] = COMMA, DIGIT + problem[1]
        prompts[i, width + 3], prompts[i, width + 4] = EXCEPT, DIGIT + problem[2]
        prompts[i, width + 5] = COLON


@njit(cache=True)
def _recognise(parameters, prompts):
    result = np.empty(prompts.shape[0], np.bool_)
    for i in range(result.size):
        result[i] = _read(parameters, prompts, i)[0] >= 0
    return result


@njit(cache=True)
def _verify(parameters, prompts, answers, ends):
    rewards = np.zeros(prompts.shape[0], np.float32)
    for i in range(rewards.size):
        left, first, forbidden = _read(parameters, prompts, i)
        if left < 0 or ends[i] != 2 * parameters.terms - 1:
            continue
        right = answers[i, 0] == DIGIT + first
        for k in range(ends[i]):
            if k % 2:
                right &= answers[i, k] == PLUS
            else:
                digit = answers[i, k] - DIGIT
                right &= 0 <= digit <= 9 and digit != forbidden
                left -= digit if 0 <= digit <= 9 else 0
        rewards[i] = right and left == 0
    return rewards


@njit(cache=True)
def _demonstrate(parameters, prompts, noise, streams, answers):
    for i in range(prompts.shape[0]):
        total, first, forbidden = _read(parameters, prompts, i)
        flawed = uniform(streams, i) < noise
        if flawed:  # another total, and now and then another first or a forbidden digit
            low, high = max(total - SPREAD, 0), min(total + SPREAD, 9 * parameters.terms)
            total = low + integer(streams, i, high - low + 1)
            if uniform(streams, i) < 0.5:
                first = integer(streams, i, 10)
            if uniform(streams, i) < 0.5:
                forbidden = integer(streams, i, 10)
            # The nearest sum that can be reached.
            while parameters.ways[forbidden, parameters.terms - 1, max(total - first, 0)] == 0:
                total += 1 if total < first + 9 else -1
        left = max(total - first, 0)
        digit = first
        for k in range(parameters.terms):
            if k:
                # Digit by digit, in proportion to the number of remaining tuples: uniform on all tuples.
                after = parameters.terms - k - 1
                rank = integer(streams, i, parameters.ways[forbidden, after + 1, left])
                digit = 0
                while True:
                    ways = 0
                    if digit != forbidden and left >= digit:
                        ways = parameters.ways[forbidden, after, left - digit]
                    if rank < ways:
                        break
                    rank -= ways
                    digit += 1
                left -= digit
            answers[i, 2 * k] = DIGIT + digit
            answers[i, 2 * k + 1] = PLUS if k < parameters.terms - 1 else EOS


class SumToRules(Task):
    """Problems of TextSumTo-v1; see `TextSumToRules` for the manual and the arguments.

    Raises:
        EnvzooError: Fewer than two problems have that many answers.
    """

    name = "TextSumTo-v1"
    alphabet = "0123456789+=:,!"
    warm_up_noise = 1.0
    kernels = TaskKernels(_write, _recognise, _verify, _demonstrate)

    def __init__(self, terms: int = 4, fewest: int = 20) -> None:
        terms, fewest = check_whole("terms", terms, 2), check_whole("fewest", fewest, 1)
        if terms > MOST_TERMS:
            raise EnvzooError(f"terms is {terms}; expected at most {MOST_TERMS}")
        ways = np.zeros((10, terms, 9 * terms + 1), np.int64)
        ways[:, 0, 0] = 1
        for forbidden in range(10):
            for k in range(terms - 1):
                for digit in range(10):
                    if digit != forbidden:
                        ways[forbidden, k + 1, digit:] += ways[forbidden, k, : ways.shape[2] - digit]
        known = np.zeros((9 * terms + 1, 10, 10), np.bool_)
        for first in range(10):
            for forbidden in range(10):
                if first != forbidden:
                    known[first:, first, forbidden] = ways[forbidden, -1, : len(known) - first] >= fewest
        table = np.argwhere(known)
        if len(table) < 2:
            raise EnvzooError(
                f"{len(table)} problems of {terms} digits have {fewest} answers or more; expected a smaller fewest"
            )
        self.parameters = Parameters(terms, len(str(9 * terms)), table, ways, known)
        self.prompt_length = self.parameters.width + 6
        self.answer_length = 2 * terms
        self.instruction = (
            f"Write {terms} digits joined by + signs that add up to the number after =. Begin with the digit after the "
            "comma, and do not use the digit after the exclamation mark."
        )
        self._number([len(table)])

    def num_answers(self, prompts: np.ndarray) -> np.ndarray:
        """Count the right answers to prompts (n, P) of this task, int64 (n,)."""
        width, ways = self.parameters.width, self.parameters.ways
        rows = self._rows("prompts", prompts, self.prompt_length) - DIGIT
        totals = rows[:, 1 : width + 1] @ 10 ** np.arange(width - 1, -1, -1)
        return ways[rows[:, width + 4], -1, totals - rows[:, width + 2]]


@with_shared_manual
class TextSumToRules(TextEpisode):
    """Find digits that add up to a given number, with a given first digit and without a forbidden one.

    ## Description
    An answer to the prompt "=17,2!5:" is "2+9+0+6": four digits with the sum 17, the first of which is 2, and none of
    which is 5. There are 1,386 prompts, each with 21 to 61 right answers, so that a policy need not become
    deterministic to be right. The prompts for training and evaluation are fixed, and none is in both splits. (In
    TextSumTo-v0 there are 29 prompts, 5 of them for evaluation, which is too few to measure on.)

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(17)`, the next token: 0 padding (never
    right), 1 the end token, then "0123456789+=:,!".

    $observation
    1 for a right answer, else 0, when the answer ends. The digits after the first may come in any order, each with no
    leading zero; in the text form spaces are ignored.

    ## Info
    `length`, the number of tokens so far; in the text environment also `instruction`, the task in one sentence.

    $start_and_end
    - `terms` (4): how many digits, 2 to 12.
    - `fewest` (20): the fewest right answers of a problem.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    Uniform on the right answers. A flawed demonstration has a sum uniform on those within 6 of the right one, in half
    of the cases a first digit drawn at random, and in half of the cases forbids a digit drawn at random in place of the
    right one.

    ## Registered ids
    - `envzoo/TextSumTo-v1`: the text environment, one answer per step.
    - `envzoo/TextSumTo-Tokens-v1`: the token environment, one token per step.
    """

    def __init__(self, terms: int = 4, fewest: int = 20, split: str = "train") -> None:
        super().__init__(SumToRules(terms, fewest), split)


TextSumToRulesEnv, TextSumToRulesTokensEnv, TextSumToRulesTokensVectorEnv = make_faces(TextSumToRules)
