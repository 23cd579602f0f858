"""TextParity: the parity of a string of bits, with the running parities as scratchpad."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.task import DIGIT, EOS, Task, TaskKernels

COLON = DIGIT + 2
MOST_BITS = 40


class Parameters(NamedTuple):
    """Parameters that all problems share."""

    scratchpad: bool


@njit(cache=True)
def _write(parameters, numbers, prompts):
    bits = prompts.shape[1] - 1
    for i in range(numbers.size):
        for k in range(bits):
            prompts[i, k] = DIGIT + (numbers[i] >> k) % 2
        prompts[i, bits] = COLON


@njit(cache=True)
def _recognise(parameters, prompts):
    result = np.empty(prompts.shape[0], np.bool_)
    bits = prompts.shape[1] - 1
    for i in range(result.size):
        result[i] = prompts[i, bits] == COLON
        for k in range(bits):
            result[i] &= DIGIT <= prompts[i, k] <= DIGIT + 1
    return result


@njit(cache=True)
def _verify(parameters, prompts, answers, ends):
    rewards = np.zeros(prompts.shape[0], np.float32)
    recognised = _recognise(parameters, prompts)
    bits = prompts.shape[1] - 1
    first = 0 if parameters.scratchpad else bits - 1
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
def _demonstrate(parameters, prompts, noise, streams, answers):
    bits = prompts.shape[1] - 1
    first = 0 if parameters.scratchpad else bits - 1
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
    kernels = TaskKernels(_write, _recognise, _verify, _demonstrate)

    def __init__(self, bits: int = 8, scratchpad: bool = True) -> None:
        bits = check_whole("bits", bits, 2)
        if bits > MOST_BITS:
            raise EnvzooError(f"bits is {bits}; expected at most {MOST_BITS}")
        if not isinstance(scratchpad, bool):
            raise EnvzooError(f"scratchpad is {scratchpad!r}; expected True or False")
        self.scratchpad = scratchpad
        self.parameters = Parameters(scratchpad)
        self.prompt_length = bits + 1
        self.answer_length = bits + 1 if scratchpad else 2
        self.instruction = (
            "Write for each bit whether the number of ones up to it is odd (1) or even (0), as in 1001 for 1101:."
            if scratchpad
            else "Write 1 when the number of ones is odd, 0 when it is even."
        )
        self._number([2**bits])


@with_shared_manual
class TextParity(TextEpisode):
    """Compute the parity of a string of bits, bit by bit.

    ## Description
    The answer to the prompt "1101:" is "1001", the running parities, the last of which is the parity of the whole
    string. Without the scratchpad the answer is only that last bit, which is hard to learn by reinforcement learning.
    There is exactly one right answer.

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(5)`, the next token: 0 padding (never
    right), 1 the end token, then "01:".

    $observation
    1 for the right answer, otherwise 0, when the answer ends. In the text environment spaces are ignored.

    $info_start_and_end
    - `bits` (8): how many, 2 to 40.
    - `scratchpad` (True): whether all running parities are asked for.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    The right answer. A flawed demonstration makes an error at one bit, so that all later parities are wrong, too.

    ## Registered ids
    - `envzoo/TextParity-v0`: the text environment, one answer per step.
    - `envzoo/TextParity-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(self, bits: int = 8, scratchpad: bool = True, split: str = "train") -> None:
        super().__init__(Parity(bits, scratchpad), split)


TextParityEnv, TextParityTokensEnv, TextParityTokensVectorEnv = make_faces(TextParity)
