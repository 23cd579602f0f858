"""TextSpark: a rare way to begin an answer is better in the long run, but looks worse at first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel.arguments import check_number, check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.reasoning.episode import TextEnv, TextEpisode
from envzoo.reasoning.task import DIGIT, EOS, PAD, Task, write_number

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
def _write(numbers, prompts):
    length = prompts.shape[1] - 1
    for i in range(numbers.size):
        write_number(prompts, i, 0, length, numbers[i])
        prompts[i, length] = COLON


@njit(cache=True)
def _sums(prompts):
    result = np.empty(prompts.shape[0], np.int64)
    for i in range(result.size):
        result[i] = _sum(prompts, i)
    return result


@njit(cache=True)
def _verify(prompts, answers, ends):
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


class Spark(Task):
    """Problems of TextSpark; see `TextSpark` for the manual and the arguments."""

    name = "TextSpark"
    alphabet = "0123456789:ABCDEFGHIJKL"
    warm_up_noise = 1.0

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

    def _prompts(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        prompts = np.empty((numbers.size, self.prompt_length), np.int64)
        _write(numbers, prompts)
        return prompts, np.ones(numbers.size, np.bool_)

    def _recognise(self, prompts: np.ndarray) -> np.ndarray:
        return _sums(prompts) >= 0

    def _verify(self, prompts: np.ndarray, answers: np.ndarray, ends: np.ndarray) -> np.ndarray:
        return _verify(prompts, answers, ends)

    def _demonstrate(self, prompts: np.ndarray, noise: float, streams: np.ndarray) -> np.ndarray:
        answers = np.full((prompts.shape[0], self.answer_length), PAD, np.int64)
        _demonstrate(self.parameters, prompts, noise, streams, answers)
        return answers


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

    ## Observation space
    Text environment: `Text`, the prompt, and after the step, the prompt and the answer. Token environment:
    `MultiDiscrete`, the ids of the prompt, then those of the answer so far, padded with 0.

    ## Reward
    1 for a right answer, otherwise 0, when the answer ends. In the text environment spaces are ignored.

    ## Info
    `length`, the number of tokens so far; in the text environment also `instruction`, the task in one sentence.

    ## Start of an episode
    A problem drawn from the split; `reset(options={"problem": k})` selects problem k of `task.sample` with seed 0, and
    an integer array selects one per episode.

    ## End of an episode
    Terminates with the answer (text environment) or the end-of-sequence token. An answer that reaches its maximum
    length without one also terminates and is wrong: the length is part of the problem, and no further reward is
    possible.

    ## Arguments
    - `length` (5): number of digits, 2 to 12.
    - `spark_share` (0.04): fraction of flawed demonstrations that begin with B.
    - `junk_share` (0.01): fraction that begin with any of the ten other letters.
    - `spark_noise` (0.5): probability that a digit after B is replaced by a random one in them.
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


class TextSparkEnv(TextEnv):
    """Text environment of `TextSpark`."""

    definition_class = TextSpark


class TextSparkTokensEnv(KernelEnv):
    """Token environment of `TextSpark`."""

    definition_class = TextSpark


class TextSparkTokensVectorEnv(KernelVectorEnv):
    """Vector token environment of `TextSpark`."""

    definition_class = TextSpark
