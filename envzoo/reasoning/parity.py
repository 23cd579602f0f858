"""TextParity: the parity of a string of bits, with its running parities as scratchpad."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.reasoning.episode import TextEnv, TextEpisode
from envzoo.reasoning.task import DIGIT, EOS, PAD, Task

COLON = DIGIT + 2
MOST_BITS = 40


@njit(cache=True)
def _write(numbers, prompts):
    bits = prompts.shape[1] - 1
    for i in range(numbers.size):
        for k in range(bits):
            prompts[i, k] = DIGIT + (numbers[i] >> k) % 2
        prompts[i, bits] = COLON


@njit(cache=True)
def _recognise(prompts):
    result = np.empty(prompts.shape[0], np.bool_)
    bits = prompts.shape[1] - 1
    for i in range(result.size):
        result[i] = prompts[i, bits] == COLON
        for k in range(bits):
            result[i] &= DIGIT <= prompts[i, k] <= DIGIT + 1
    return result


@njit(cache=True)
def _verify(scratchpad, prompts, answers, ends):
    rewards = np.zeros(prompts.shape[0], np.float32)
    recognised = _recognise(prompts)
    bits = prompts.shape[1] - 1
    first = 0 if scratchpad else bits - 1
    for i in range(rewards.size):
        if not recognised[i] or ends[i] != bits - first:
            continue
        right, parity = True, 0
        for k in range(bits):
            parity ^= prompts[i, k] - DIGIT
            if k >= first:
                right &= answers[i, k - first] == DIGIT + parity
        rewards[i] = right
    return rewards


@njit(cache=True)
def _demonstrate(scratchpad, prompts, noise, streams, answers):
    bits = prompts.shape[1] - 1
    first = 0 if scratchpad else bits - 1
    for i in range(prompts.shape[0]):
        slip = bits
        if uniform(streams, i) < noise:
            slip = first + integer(streams, i, bits - first)
        parity = 0
        for k in range(bits):
            parity ^= prompts[i, k] - DIGIT
            if k == slip:
                parity ^= 1
            if k >= first:
                answers[i, k - first] = DIGIT + parity
        answers[i, bits - first] = EOS


class Parity(Task):
    """Problems of TextParity; see `TextParity` for the manual and the arguments."""

    name = "TextParity"
    alphabet = "01:"

    def __init__(self, bits: int = 8, scratchpad: bool = True) -> None:
        bits = check_whole("bits", bits, 2)
        if bits > MOST_BITS:
            raise EnvzooError(f"bits is {bits}; expected at most {MOST_BITS}")
        if not isinstance(scratchpad, bool):
            raise EnvzooError(f"scratchpad is {scratchpad!r}; expected True or False")
        self.scratchpad = scratchpad
        self.prompt_length = bits + 1
        self.answer_length = bits + 1 if scratchpad else 2
        self.instruction = (
            "Write for each bit whether the number of ones up to it is odd (1) or even (0), as in 1001 for 1101:."
            if scratchpad
            else "Write 1 when the number of ones is odd, 0 when it is even."
        )
        self._number([2**bits])

    def _prompts(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        prompts = np.empty((numbers.size, self.prompt_length), np.int64)
        _write(numbers, prompts)
        return prompts, np.ones(numbers.size, np.bool_)

    def _recognise(self, prompts: np.ndarray) -> np.ndarray:
        return _recognise(prompts)

    def _verify(self, prompts: np.ndarray, answers: np.ndarray, ends: np.ndarray) -> np.ndarray:
        return _verify(self.scratchpad, prompts, answers, ends)

    def _demonstrate(self, prompts: np.ndarray, noise: float, streams: np.ndarray) -> np.ndarray:
        answers = np.full((prompts.shape[0], self.answer_length), PAD, np.int64)
        _demonstrate(self.scratchpad, prompts, noise, streams, answers)
        return answers


class TextParity(TextEpisode):
    """Work out the parity of a string of bits, bit by bit.

    ## Description
    The prompt "1101:" is answered by the running parities "1001", the last of which is the parity of all. Without the
    scratchpad the answer is that last bit alone, which reinforcement learning from rewards hardly finds. One answer is
    right.

    ## Action space
    Text face: `Text`, the whole answer. Token face: `Discrete(5)`, the next token: 0 padding (never right), 1 the
    end, then "01:".

    ## Observation space
    Text face: `Text`, the prompt, and after the step the prompt and the answer. Token face: `MultiDiscrete`, the ids
    of the prompt, then of the answer so far, padded with 0.

    ## Reward
    1 for the right answer, else 0, when the answer ends. In the text face spaces do not count.

    ## Info
    `length`, the number of tokens written; in the text face also `instruction`, the task in one sentence.

    ## Start of an episode
    A problem drawn from the split; `reset(options={"problem": k})` gives problem k of `task.sample` with seed 0, and
    an integer array gives each episode its own.

    ## End of an episode
    Terminates with the answer (text face), or with the end-of-sequence token. An answer that fills its length without
    one terminates, too, and is wrong: the length is part of the problem, and nothing can be earned after it.

    ## Arguments
    - `bits` (8): how many, 2 to 40.
    - `scratchpad` (True): whether all running parities are asked for.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    The right answer. A flawed one slips at one bit and goes on from there, so that all later parities are wrong.

    ## Registered ids
    - `envzoo/TextParity-v0`: the text face, one answer per step.
    - `envzoo/TextParity-Tokens-v0`: the token face, one token per step.
    """

    def __init__(self, bits: int = 8, scratchpad: bool = True, split: str = "train") -> None:
        super().__init__(Parity(bits, scratchpad), split)


class TextParityEnv(TextEnv):
    """The text face of `TextParity`."""

    definition_class = TextParity


class TextParityTokensEnv(KernelEnv):
    """The token face of `TextParity`."""

    definition_class = TextParity


class TextParityTokensVectorEnv(KernelVectorEnv):
    """The token face of `TextParity`, many episodes."""

    definition_class = TextParity
