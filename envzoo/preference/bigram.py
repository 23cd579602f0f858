"""Tasks whose base policy is a fixed bigram model: sequences of letters with exact probabilities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.kernel.arguments import check_number, check_whole
from envzoo.kernel.stream import keys, normal, uniform
from envzoo.reasoning.task import EOS, Task

SYMBOLS = "abcdefghijkl"
FIRST = 2  # token id of the first symbol


class Parameters(NamedTuple):
    """Parameters shared by all problems."""

    cumulative: np.ndarray  # float64 (A, A): cumulative probabilities of the next symbol
    length: int


@njit(cache=True)
def write(parameters, numbers, prompts):
    """Write kernel; see `envzoo.reasoning.task.TaskKernels`."""
    for i in range(numbers.size):
        prompts[i, 0] = FIRST + numbers[i]


@njit(cache=True)
def recognise(parameters, prompts):
    """Recognise kernel; see `envzoo.reasoning.task.TaskKernels`."""
    symbols = parameters.cumulative.shape[0]
    result = np.empty(prompts.shape[0], np.bool_)
    for i in range(result.size):
        result[i] = 0 <= prompts[i, 0] - FIRST < symbols
    return result


@njit(cache=True)
def demonstrate(parameters, prompts, noise, streams, answers):
    """Demonstrate kernel: samples of the bigram model; see `envzoo.reasoning.task.TaskKernels`."""
    symbols = parameters.cumulative.shape[0]
    for i in range(prompts.shape[0]):
        last = prompts[i, 0] - FIRST
        for k in range(parameters.length):
            draw = uniform(streams, i)
            symbol = 0
            while symbol < symbols - 1 and draw >= parameters.cumulative[last, symbol]:
                symbol += 1
            answers[i, k] = FIRST + symbol
            last = symbol
        answers[i, parameters.length] = EOS


class BigramTask(Task):
    """Problems that show one letter, to be continued with `length` letters. A subclass gives the reward.

    Args:
        symbols: Number of letters.
        length: Letters of an answer.
        spread: Standard deviation of the logits of the bigram model.
        seed: Seed of these logits.

    Attributes:
        transitions: (A, A), probabilities of the next symbol after each symbol.
        length: Number of symbols of an answer.
    """

    warm_up_noise = 0.0

    def _build(self, symbols: int, length: int, spread: float, seed: int) -> None:
        symbols, self.length = check_whole("symbols", symbols, 2, len(SYMBOLS)), check_whole("length", length, 1, 64)
        spread, seed = check_number("spread", spread, 0.0), check_whole("model_seed", seed, 0, None)
        streams = np.zeros((1, 2), np.uint64)
        streams[:, 0] = keys(np.array([seed % 2**64], np.uint64))
        weight = np.exp([[spread * normal(streams, 0) for _ in range(symbols)] for _ in range(symbols)])
        self.transitions = weight / weight.sum(1, keepdims=True)
        self.transitions.setflags(write=False)
        self.alphabet = SYMBOLS[:symbols]
        self.parameters = Parameters(np.cumsum(self.transitions, axis=1), self.length)
        self.prompt_length, self.answer_length = 1, self.length + 1
        self._number([symbols])

    def base_log_probs(self, prompts: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Compute the log-probabilities (n,) of complete answers (n, length + 1) under the bigram model.

        An answer that the model never writes (of another length, or with other tokens) has -inf.
        """
        prompts = self._rows("prompts", prompts, 1)
        answers = self._rows("answers", answers, self.answer_length, len(prompts))
        path = np.concatenate([prompts, answers[:, : self.length]], axis=1) - FIRST
        valid = ((path >= 0) & (path < len(self.transitions))).all(1) & (answers[:, self.length] == EOS)
        safe = np.clip(path, 0, len(self.transitions) - 1)
        total = np.log(self.transitions[safe[:, :-1], safe[:, 1:]]).sum(1)
        return np.where(valid, total, -np.inf)
