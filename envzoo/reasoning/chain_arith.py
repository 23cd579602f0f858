"""TextChainArith: a chain of additions, subtractions and multiplications, computed step by step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError, unknown
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.task import DIGIT, EOS, PAD, Task, TaskKernels, number_at, write_number

PLUS, MINUS, TIMES, COMMA, EQUALS = (DIGIT + 10 + k for k in range(5))
MOST_STEPS = 8
SCRATCHPADS = ("required", "free")


class Parameters(NamedTuple):
    """Parameters shared by all problems."""

    low: int  # smallest number of steps
    high: int  # largest number of steps
    modulus: int
    width: int  # number of digits of a value
    free: bool
    sizes: np.ndarray  # int64 (high - low + 1,): number of problems by number of steps


@njit(cache=True)
def _values(parameters, prompts, i, values):
    """Write the values after each step of row i to `values`; returns the number of steps, 0 if it is not a prompt."""
    last = prompts.shape[1] - 1
    first = 0
    while first < last and prompts[i, first] == PAD:
        first += 1
    steps = (last - first - 1) // 2
    if prompts[i, last] != EQUALS or (last - first) % 2 == 0 or not parameters.low <= steps <= parameters.high:
        return 0
    value = 0
    for k in range(steps + 1):
        digit = prompts[i, first + 2 * k] - DIGIT
        sign = PLUS if k == 0 else prompts[i, first + 2 * k - 1]
        if not 0 <= digit <= 9 or not PLUS <= sign <= TIMES:
            return 0
        if sign == PLUS:
            value += digit
        elif sign == MINUS:
            value -= digit
        else:
            value *= digit
        value %= parameters.modulus
        if k:
            values[k - 1] = value
    return steps


@njit(cache=True)
def _write(parameters, numbers, prompts):
    last = prompts.shape[1] - 1
    for i in range(numbers.size):
        number, kind = numbers[i], 0
        while number >= parameters.sizes[kind]:
            number -= parameters.sizes[kind]
            kind += 1
        steps = parameters.low + kind
        first = last - 2 * steps - 1
        prompts[i, :first] = PAD
        for k in range(steps + 1):
            prompts[i, first + 2 * k] = DIGIT + number % 10
            number //= 10
            if k < steps:
                prompts[i, first + 2 * k + 1] = PLUS + number % 3
                number //= 3
        prompts[i, last] = EQUALS


@njit(cache=True)
def _recognise(parameters, prompts):
    result, values = np.empty(prompts.shape[0], np.bool_), np.zeros(MOST_STEPS, np.int64)
    for i in range(result.size):
        result[i] = _values(parameters, prompts, i, values) > 0
    return result


@njit(cache=True)
def _verify(parameters, prompts, answers, ends):
    rewards, values = np.zeros(prompts.shape[0], np.float32), np.zeros(MOST_STEPS, np.int64)
    for i in range(rewards.size):
        steps = _values(parameters, prompts, i, values)
        if steps == 0 or ends[i] < 1:
            continue
        right, count, first, value = True, 0, 0, -1
        for k in range(ends[i] + 1):
            if k == ends[i] or answers[i, k] == COMMA:
                value = number_at(answers, i, first, k)
                if not 0 <= value < parameters.modulus:
                    right = False
                    break
                if not parameters.free and (count >= steps or value != values[count]):
                    right = False
                    break
                count += 1
                first = k + 1
        if right:
            rewards[i] = value == values[steps - 1] and (parameters.free or count == steps)
    return rewards


@njit(cache=True)
def _put(parameters, answers, i, at, value):
    write_number(answers, i, at, parameters.width, value)
    answers[i, at + parameters.width] = COMMA
    return at + parameters.width + 1


@njit(cache=True)
def _demonstrate(parameters, prompts, noise, streams, answers):
    values = np.zeros(MOST_STEPS, np.int64)
    for i in range(prompts.shape[0]):
        steps = _values(parameters, prompts, i, values)
        slip, shift = steps, 0
        if uniform(streams, i) < noise:
            slip = integer(streams, i, steps)
            shift = 1 + integer(streams, i, parameters.modulus - 1)
        at = 0
        for k in range(steps):
            value = values[k] if k < slip else (values[k] + shift) % parameters.modulus
            at = _put(parameters, answers, i, at, value)
        if parameters.free and slip < steps:
            # Having made an error, continue with further attempts: wrong answers become longer than right ones.
            for _ in range(1 + integer(streams, i, steps)):
                at = _put(parameters, answers, i, at, integer(streams, i, parameters.modulus))
        answers[i, at - 1] = EOS


class ChainArith(Task):
    """Problems of TextChainArith; see `TextChainArith` for the manual and the arguments."""

    name = "TextChainArith"
    alphabet = "0123456789+-*,="
    kernels = TaskKernels(_write, _recognise, _verify, _demonstrate)

    def __init__(self, steps: int | tuple[int, int] = 4, modulus: int = 10, scratchpad: str = "required") -> None:
        pair = steps if isinstance(steps, tuple | list) else (steps, steps)
        if len(pair) != 2:
            raise EnvzooError(f"steps is {steps!r}; expected a whole number or a pair (fewest, most)")
        low, high = (check_whole("steps", value, 1) for value in pair)
        if not low <= high <= MOST_STEPS:
            raise EnvzooError(f"steps is {steps!r}; expected at most {MOST_STEPS}, and the fewest first in a pair")
        if modulus not in (10, 100):
            raise EnvzooError(f"modulus is {modulus!r}; expected 10 or 100")
        if scratchpad not in SCRATCHPADS:
            raise unknown("scratchpad", scratchpad, SCRATCHPADS)
        sizes = np.array([10 ** (k + 1) * 3**k for k in range(low, high + 1)], np.int64)
        width, free = len(str(modulus)) - 1, scratchpad == "free"
        self.parameters = Parameters(low, high, int(modulus), width, free, sizes)
        self.prompt_length = 2 * high + 2
        self.answer_length = high * (width + 1) * (2 if free else 1)
        last = "Only the last value counts." if free else "Write exactly one value per step."
        self.instruction = (
            "Work from left to right, without precedence, and write the value after every step, joined by commas; of "
            f"each value take the remainder modulo {modulus} (-1 becomes {modulus - 1}). {last}"
        )
        self._number(sizes)

    def _demonstrate(self, prompts: np.ndarray, noise: float, streams: np.ndarray) -> np.ndarray:
        answers = np.full((prompts.shape[0], self.answer_length + 1), PAD, np.int64)
        _demonstrate(self.parameters, prompts, noise, streams, answers)
        return np.ascontiguousarray(answers[:, : self.answer_length])


@with_shared_manual
class TextChainArith(TextEpisode):
    """Compute a chain of sums and products from left to right, with intermediate values.

    ## Description
    The answer to the prompt "3+5*2-4=" is "8,6,2": the value after every step, modulo 10, without operator precedence.
    Most tokens of an answer follow from the format or from a small sum, a few are decisive. With scratchpad "required"
    there is exactly one right answer. With "free" only the last value counts and answers may be twice as long, so that
    a wrong answer can continue for longer.

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(17)`, the next token: 0 padding (never
    right), 1 the end token, then "0123456789+-*,=".

    ## Observation space
    Text environment: `Text`, the prompt, and after the step, the prompt and the answer. Token environment:
    `MultiDiscrete`, the ids of the prompt (shorter ones padded with 0 on the left), then of the answer so far, padded
    with 0.

    ## Reward
    1 for a right answer, otherwise 0, when the answer ends. Leading zeros are ignored where there is space for them (7
    is 07 modulo 100); in the text environment spaces are ignored.

    ## Info
    `length`, the number of tokens so far; in the text environment also `instruction`, the task in two sentences.

    $start_and_end
    - `steps` (4): operations, 1 to 8; or a pair (fewest, most) of which every number is equally frequent.
    - `modulus` (10): 10 or 100.
    - `scratchpad` ("required"): "required" or "free".
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    The right values. A flawed demonstration makes an error at one step, which carries over to all later values; with
    scratchpad "free" it then continues with several random values.

    ## Registered ids
    - `envzoo/TextChainArith-v0`: the text environment, one answer per step.
    - `envzoo/TextChainArith-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(
        self,
        steps: int | tuple[int, int] = 4,
        modulus: int = 10,
        scratchpad: str = "required",
        split: str = "train",
    ) -> None:
        super().__init__(ChainArith(steps, modulus, scratchpad), split)


TextChainArithEnv, TextChainArithTokensEnv, TextChainArithTokensVectorEnv = make_faces(TextChainArith)
