"""TextSpark: a rare way to begin an answer is better in the long run, but looks worse at first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number, check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.task import DIGIT, EOS, Task, TaskKernels, write_numbers

COLON, ROUTE_A, ROUTE_B = DIGIT + 10, DIGIT + 11, DIGIT + 12
JUNK = 10  # letters that begin no right answer, in addition to the two that do
USUAL, SPARK, NONSENSE, OTHER = 0, 1, 2, 3  # what `routes` returns
MOST_DIGITS = 12


class Parameters(NamedTuple):
    """Proportions of the flawed demonstrations."""

    spark_share: float
    junk_share: float
    spark_noise: float


@njit(cache=True)
def _sum(prompts, i):
    """Return the sum of the digits of row i, -1 if it is not a prompt."""
    length, total = prompts.shape[1] - 1, 0
    for k in range(length):
        digit = prompts[i, k] - DIGIT
        if not 0 <= digit <= 9:
            return -1
        total += digit
    return total if prompts[i, length] == COLON else -1


@njit(cache=True)
def _write(parameters, numbers, prompts):
    write_numbers(prompts, numbers, COLON)


@njit(cache=True)
def _sums(prompts):
    result = np.empty(prompts.shape[0], np.int64)
    for i in range(result.size):
        result[i] = _sum(prompts, i)
    return result


@njit(cache=True)
def _verify(parameters, prompts, answers, ends):
    rewards = np.zeros(prompts.shape[0], np.float32)
    length = prompts.shape[1] - 1
    for i in range(rewards.size):
        total = _sum(prompts, i)
        if total < 0 or ends[i] != length + 1:
            continue
        usual = answers[i, 0] == ROUTE_A and total % 2 == 0
        spark = answers[i, 0] == ROUTE_B
        for k in range(length):
            usual &= answers[i, k + 1] == prompts[i, k]
            spark &= answers[i, k + 1] == prompts[i, length - 1 - k]
        rewards[i] = usual or spark
    return rewards


@njit(cache=True)
def _demonstrate(parameters, prompts, noise, streams, answers):
    length = prompts.shape[1] - 1
    for i in range(prompts.shape[0]):
        first, slips = ROUTE_B, 0.0
        if uniform(streams, i) < noise:
            share = uniform(streams, i)
            if share < parameters.junk_share:
                first, slips = ROUTE_B + 1 + integer(streams, i, JUNK), 1.0
            elif share < parameters.junk_share + parameters.spark_share:
                slips = parameters.spark_noise
            else:
                first = ROUTE_A
        answers[i, 0] = first
        for k in range(length):
            answers[i, k + 1] = prompts[i, k if first == ROUTE_A else length - 1 - k]
            if uniform(streams, i) < slips:
                answers[i, k + 1] = DIGIT + integer(streams, i, 10)
        answers[i, length + 1] = EOS


def _recognise(parameters: Parameters, prompts: np.ndarray) -> np.ndarray:
    return _sums(prompts) >= 0


class Spark(Task):
    """Problems of TextSpark; see `TextSpark` for the manual and the arguments."""

    name = "TextSpark"
    alphabet = "0123456789:ABCDEFGHIJKL"
    warm_up_noise = 1.0
    kernels = TaskKernels(_write, _recognise, _verify, _demonstrate)

    def __init__(
        self, length: int = 5, spark_share: float = 0.04, junk_share: float = 0.01, spark_noise: float = 0.5
    ) -> None:
        length = check_whole("length", length, 2)
        if length > MOST_DIGITS:
            raise EnvzooError(f"length is {length}; expected at most {MOST_DIGITS}")
        shares = {"spark_share": spark_share, "junk_share": junk_share, "spark_noise": spark_noise}
        self.parameters = Parameters(*(check_number(name, value, 0, 1) for name, value in shares.items()))
        if self.parameters.spark_share + self.parameters.junk_share > 1:
            raise EnvzooError(f"spark_share {spark_share} and junk_share {junk_share} add up to more than 1")
        self.prompt_length, self.answer_length = length + 1, length + 2
        self.instruction = (
            "Write B and then the digits in reverse order; or, but only when their sum is even, A and then the digits "
            "as they are."
        )
        self._number([10**length])

    def is_easy(self, prompts: np.ndarray) -> np.ndarray:
        """Return which prompts (n, P) the usual strategy also solves: those with an even sum of digits, bool (n,)."""
        sums = _sums(self._rows("prompts", prompts, self.prompt_length))
        return (sums >= 0) & (sums % 2 == 0)

    def routes(self, answers: np.ndarray) -> np.ndarray:
        """Classify answers (n, width) by their first token, int64 (n,): 0 route A, 1 spark B, 2 junk, 3 others."""
        first = self._rows("answers", answers, None)[:, 0]
        junk = (first > ROUTE_B) & (first <= ROUTE_B + JUNK)
        return np.select([first == ROUTE_A, first == ROUTE_B, junk], [USUAL, SPARK, NONSENSE], OTHER)


@with_shared_manual
class TextSpark(TextEpisode):
    """Two strategies for an answer: the usual one solves half of the problems, a rare and noisy one solves all of them.

    ## Description
    The first token selects the strategy. After "A" the digits of the prompt are copied, which is right only for the
    easy half of the prompts, those with an even sum of digits. After "B" they are reversed, which is right for all
    prompts. Ten further letters are never right. In the demonstrations A is by far the most frequent, B is rare and
    contains many errors, and the other letters are rarer still. Early in training B therefore earns less than A and its
    probability is reduced, and a policy that abandons it never solves more than the easy half. Designed for methods
    that preserve rare but useful tokens (Lp-Reg, arXiv 2510.03222).

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(25)`, the next token: 0 padding (never
    right), 1 the end token, then "0123456789:ABCDEFGHIJKL".

    $observation
    1 for a right answer, otherwise 0, when the answer ends. In the text environment spaces are ignored.

    $info_start_and_end
    - `length` (5): digits, 2 to 12.
    - `spark_share` (0.04): share of B among the flawed demonstrations.
    - `junk_share` (0.01): share of the ten letters among them, all together.
    - `spark_noise` (0.5): chance that a digit after B is replaced by a random one in them.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    Without noise, B and the reversed digits. Flawed demonstrations are the mixture above, with A for the rest;
    `noise=1` is the intended warm-up of the task.

    ## Registered ids
    - `envzoo/TextSpark-v0`: the text environment, one answer per step.
    - `envzoo/TextSpark-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(
        self,
        length: int = 5,
        spark_share: float = 0.04,
        junk_share: float = 0.01,
        spark_noise: float = 0.5,
        split: str = "train",
    ) -> None:
        super().__init__(Spark(length, spark_share, junk_share, spark_noise), split)


TextSparkEnv, TextSparkTokensEnv, TextSparkTokensVectorEnv = make_faces(TextSpark)
