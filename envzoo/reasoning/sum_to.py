"""TextSumTo: find digits with a given sum; many answers are right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.task import DIGIT, EOS, Task, TaskKernels, number_at, write_number

PLUS, EQUALS, COLON = DIGIT + 10, DIGIT + 11, DIGIT + 12
MOST_TERMS = 12
SPREAD = 6  # largest error of the total in a flawed demonstration


class Parameters(NamedTuple):
    """Parameters shared by all problems."""

    terms: int
    low: int
    high: int
    width: int  # number of digits of the total in the prompt
    counts: np.ndarray  # int64 (terms + 1, 9 * terms + 1): number of tuples by number of digits and sum


@njit(cache=True)
def _total(parameters, prompts, i):
    """Return the total that row i asks for, -1 if the row is not a prompt."""
    if prompts[i, 0] != EQUALS or prompts[i, parameters.width + 1] != COLON:
        return -1
    total = number_at(prompts, i, 1, parameters.width + 1)
    return total if parameters.low <= total <= parameters.high else -1


@njit(cache=True)
def _write(parameters, numbers, prompts):
    for i in range(numbers.size):
        prompts[i, 0] = EQUALS
        write_number(prompts, i, 1, parameters.width, parameters.low + numbers[i])
        prompts[i, parameters.width + 1] = COLON


@njit(cache=True)
def _recognise(parameters, prompts):
    result = np.empty(prompts.shape[0], np.bool_)
    for i in range(result.size):
        result[i] = _total(parameters, prompts, i) >= 0
    return result


@njit(cache=True)
def _verify(parameters, prompts, answers, ends):
    rewards = np.zeros(prompts.shape[0], np.float32)
    for i in range(rewards.size):
        total = _total(parameters, prompts, i)
        if total < 0 or ends[i] != 2 * parameters.terms - 1:
            continue
        right = True
        for k in range(ends[i]):
            if k % 2:
                right &= answers[i, k] == PLUS
            else:
                digit = answers[i, k] - DIGIT
                right &= 0 <= digit <= 9
                total -= digit if 0 <= digit <= 9 else 0
        rewards[i] = right and total == 0
    return rewards


@njit(cache=True)
def _demonstrate(parameters, prompts, noise, streams, answers):
    for i in range(prompts.shape[0]):
        total = _total(parameters, prompts, i)
        if uniform(streams, i) < noise:
            low, high = max(total - SPREAD, 0), min(total + SPREAD, 9 * parameters.terms)
            total = low + integer(streams, i, high - low + 1)
        for k in range(parameters.terms):
            # Draw digit by digit, in proportion to the number of remaining tuples: uniform on all tuples.
            left = parameters.terms - k - 1
            rank = integer(streams, i, parameters.counts[left + 1, total])
            digit = 0
            while True:
                ways = parameters.counts[left, total - digit] if total >= digit else 0
                if rank < ways:
                    break
                rank -= ways
                digit += 1
            total -= digit
            answers[i, 2 * k] = DIGIT + digit
            answers[i, 2 * k + 1] = PLUS if left else EOS


class SumTo(Task):
    """Problems of TextSumTo; see `TextSumTo` for the manual and the arguments.

    Raises:
        EnvzooError: The digits cannot reach the range of totals, or the range has fewer than two totals.
    """

    name = "TextSumTo"
    alphabet = "0123456789+=:"
    warm_up_noise = 1.0
    kernels = TaskKernels(_write, _recognise, _verify, _demonstrate)

    def __init__(self, terms: int = 4, low: int | None = None, high: int | None = None) -> None:
        terms = check_whole("terms", terms, 1)
        if terms > MOST_TERMS:
            raise EnvzooError(f"terms is {terms}; expected at most {MOST_TERMS}")
        low = check_whole("low", terms if low is None else low, 0)
        high = check_whole("high", 8 * terms if high is None else high, 0)
        if high > 9 * terms:
            raise EnvzooError(f"high is {high}, which {terms} digits cannot add up to; expected at most {9 * terms}")
        if low >= high:
            raise EnvzooError(f"low is {low} and high is {high}; expected low below high")
        counts = np.zeros((terms + 1, 9 * terms + 1), np.int64)
        counts[0, 0] = 1
        for k in range(terms):
            for digit in range(10):
                counts[k + 1, digit:] += counts[k, : counts.shape[1] - digit]
        self.parameters = Parameters(terms, low, high, len(str(high)), counts)
        self.prompt_length = self.parameters.width + 2
        self.answer_length = 2 * terms
        self.instruction = (
            f"Write {terms} digits joined by + signs that add up to the number between = and :, as in "
            f"{'+'.join('1' * terms)} for the number {terms}."
        )
        self._number([high - low + 1])

    def guess_probability(self, total: int) -> float:
        """Compute the probability that uniformly drawn digits add up to `total`: right answers / 10**terms."""
        counts = self.parameters.counts[-1]
        return float(counts[total] / 10**self.parameters.terms) if 0 <= total < counts.size else 0.0


@with_shared_manual
class TextSumTo(TextEpisode):
    """Find digits that add up to a given number.

    ## Description
    An answer to the prompt "=17:" is "2+9+0+6": any four digits with that sum. Many answers are right (670 of the
    10,000 for the sum 18), so a policy need not become deterministic to be right, and one that does loses diversity
    without benefit. The prompts for training and evaluation are fixed; the two splits share no sum.

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(15)`, the next token: 0 padding (never
    right), 1 the end token, then "0123456789+=:".

    $observation
    1 for a right answer, otherwise 0, when the answer ends. The digits may come in any order, without leading zeros. In
    the text environment spaces are ignored.

    $info_start_and_end
    - `terms` (4): how many digits, at most 12.
    - `low`, `high` (None: `terms` and 8 * `terms`): least and greatest sum.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    Uniform on the right answers. A flawed demonstration has a sum uniform on those within 6 of the right one.

    ## Registered ids
    - `envzoo/TextSumTo-v0`: the text environment, one answer per step.
    - `envzoo/TextSumTo-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(self, terms: int = 4, low: int | None = None, high: int | None = None, split: str = "train") -> None:
        super().__init__(SumTo(terms, low, high), split)


TextSumToEnv, TextSumToTokensEnv, TextSumToTokensVectorEnv = make_faces(TextSumTo)
