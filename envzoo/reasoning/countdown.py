"""TextCountdown: reach a target with given numbers, each used once."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.task import DIGIT, EOS, Task, TaskKernels, number_at, write_number

PLUS, MINUS, TIMES, COMMA, EQUALS, COLON = (DIGIT + 10 + k for k in range(6))
MOST_NUMBERS, MOST_TARGET = 5, 999


class Parameters(NamedTuple):
    """Parameters shared by all problems."""

    count: int
    width: int  # number of digits of the target in the prompt
    table: np.ndarray  # int64 (problems, count + 1): the numbers, ascending, and the target
    codes: np.ndarray  # int64 (problems,), ascending: 1000 * the numbers' digits read as one number + the target


@njit(cache=True)
def _expression(numbers, code, digits, operators):
    """Write candidate `code` of the count! * 3**(count - 1) expressions to digits and operators; returns its value."""
    count = numbers.size
    used = np.zeros(count, np.bool_)
    for k in range(count):
        choice = code % (count - k)
        code //= count - k
        for j in range(count):
            if not used[j]:
                if choice == 0:
                    used[j] = True
                    digits[k] = numbers[j]
                    break
                choice -= 1
    value = digits[0]
    for k in range(1, count):
        operators[k] = code % 3
        code //= 3
        if operators[k] == 0:
            value += digits[k]
        elif operators[k] == 1:
            value -= digits[k]
        else:
            value *= digits[k]
    return value


@njit(cache=True)
def _expressions(count):
    total = 1
    for k in range(1, count + 1):
        total *= k
    return total * 3 ** (count - 1)


@njit(cache=True)
def _reachable(hands, highest):
    """Return which targets 0, ..., highest each hand of numbers (hands, count) reaches, bool (hands, highest + 1)."""
    count = hands.shape[1]
    result = np.zeros((hands.shape[0], highest + 1), np.bool_)
    digits, operators = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for i in range(hands.shape[0]):
        for code in range(_expressions(count)):
            value = _expression(hands[i], code, digits, operators)
            if 0 <= value <= highest:
                result[i, value] = True
    return result


@lru_cache(maxsize=8)
def _problems(count, largest, lowest, highest):
    hands = np.array(list(itertools.combinations_with_replacement(range(1, largest + 1), count)), np.int64)
    reachable = _reachable(hands, highest)
    reachable[:, :lowest] = False
    hand, target = np.nonzero(reachable)
    table = np.column_stack([hands[hand], target])
    table.flags.writeable = False
    return table


@njit(cache=True)
def _read(parameters, prompts, i, numbers):
    """Return the target of row i, with its numbers in `numbers`; -1 if the row does not have the form of a prompt."""
    count = parameters.count
    for k in range(count):
        numbers[k] = prompts[i, 2 * k] - DIGIT
        if not 1 <= numbers[k] <= 9 or prompts[i, 2 * k + 1] != (EQUALS if k == count - 1 else COMMA):
            return -1
    if prompts[i, 2 * count + parameters.width] != COLON:
        return -1
    return number_at(prompts, i, 2 * count, 2 * count + parameters.width)


@njit(cache=True)
def _write(parameters, numbers, prompts):
    count = parameters.count
    for i in range(numbers.size):
        for k in range(count):
            prompts[i, 2 * k] = DIGIT + parameters.table[numbers[i], k]
            prompts[i, 2 * k + 1] = EQUALS if k == count - 1 else COMMA
        write_number(prompts, i, 2 * count, parameters.width, parameters.table[numbers[i], count])
        prompts[i, 2 * count + parameters.width] = COLON


@njit(cache=True)
def _recognise(parameters, prompts):
    result = np.zeros(prompts.shape[0], np.bool_)
    numbers = np.zeros(parameters.count, np.int64)
    for i in range(result.size):
        target = _read(parameters, prompts, i, numbers)
        if target >= 0:
            code = 0
            for k in range(parameters.count):
                code = 10 * code + numbers[k]
            code = 1000 * code + target
            at = np.searchsorted(parameters.codes, code)
            result[i] = at < parameters.codes.size and parameters.codes[at] == code
    return result


@njit(cache=True)
def _verify(parameters, prompts, answers, ends):
    rewards = np.zeros(prompts.shape[0], np.float32)
    numbers, left = np.zeros(parameters.count, np.int64), np.zeros(10, np.int64)
    for i in range(rewards.size):
        target = _read(parameters, prompts, i, numbers)
        if target < 0 or ends[i] != 2 * parameters.count - 1:
            continue
        left[:] = 0
        for k in range(parameters.count):
            left[numbers[k]] += 1
        right, value = True, 0
        for k in range(parameters.count):
            digit = answers[i, 2 * k] - DIGIT
            if not 1 <= digit <= 9 or left[digit] == 0:
                right = False
                break
            left[digit] -= 1
            sign = PLUS if k == 0 else answers[i, 2 * k - 1]
            if sign == PLUS:
                value += digit
            elif sign == MINUS:
                value -= digit
            elif sign == TIMES:
                value *= digit
            else:
                right = False
                break
        rewards[i] = right and value == target
    return rewards


@njit(cache=True)
def _demonstrate(parameters, prompts, noise, streams, answers):
    count = parameters.count
    numbers, digits, operators = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    total = _expressions(count)
    for i in range(prompts.shape[0]):
        target = _read(parameters, prompts, i, numbers)
        if uniform(streams, i) < noise:
            _expression(numbers, integer(streams, i, total), digits, operators)
        else:
            right = 0
            for code in range(total):
                right += _expression(numbers, code, digits, operators) == target
            rank = integer(streams, i, right)
            for code in range(total):
                if _expression(numbers, code, digits, operators) == target:
                    if rank == 0:
                        break
                    rank -= 1
        for k in range(count):
            if k:
                answers[i, 2 * k - 1] = PLUS + operators[k]
            answers[i, 2 * k] = DIGIT + digits[k]
        answers[i, 2 * count - 1] = EOS


class Countdown(Task):
    """Problems of TextCountdown; see `TextCountdown` for the manual and the arguments.

    Raises:
        EnvzooError: Fewer than two problems of this difficulty can be solved.
    """

    name = "TextCountdown"
    alphabet = "0123456789+-*,=:"
    warm_up_noise = 0.8
    kernels = TaskKernels(_write, _recognise, _verify, _demonstrate)

    def __init__(self, numbers: int = 3, largest: int = 9, low: int = 0, high: int = 99) -> None:
        count, largest = check_whole("numbers", numbers, 2), check_whole("largest", largest, 1)
        low, high = check_whole("low", low, 0), check_whole("high", high, 0)
        for name, value, most in (
            ("numbers", count, MOST_NUMBERS),
            ("largest", largest, 9),
            ("high", high, MOST_TARGET),
        ):
            if value > most:
                raise EnvzooError(f"{name} is {value}; expected at most {most}")
        table = _problems(count, largest, low, high)
        if len(table) < 2:
            raise EnvzooError(
                f"{count} numbers up to {largest} reach {len(table)} targets from {low} to {high}; expected bounds "
                "with at least 2"
            )
        codes = 1000 * (table[:, :-1] @ 10 ** np.arange(count - 1, -1, -1)) + table[:, -1]
        self.parameters = Parameters(count, len(str(high)), table.copy(), codes)
        self.prompt_length = 2 * count + self.parameters.width + 1
        self.answer_length = 2 * count
        self.instruction = (
            "Use every number before = exactly once, with +, - and *, to reach the number after it. Work from left to "
            "right: 2+3*4 is 20."
        )
        self._number([len(table)])


@with_shared_manual
class TextCountdown(TextEpisode):
    """Reach a target with given numbers, each used exactly once.

    ## Description
    An answer to the prompt "2,3,4=20:" is "2+3*4": any expression of all the numbers with +, - and
    * whose value, computed from left to right without precedence, is the target: 2+3*4 is 20. Three numbers allow 54
    expressions, few of which are right, so most answers of an untrained policy get no reward. All problems have a
    solution; their numbers are in ascending order, so that no problem occurs in two forms.

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(18)`, the next token: 0 padding (never
    right), 1 the end token, then "0123456789+-*,=:".

    $observation
    1 for a right answer, otherwise 0, when the answer ends. In the text environment spaces are ignored.

    $info_start_and_end
    - `numbers` (3): how many numbers, 2 to 5.
    - `largest` (9): the largest number, at most 9.
    - `low`, `high` (0, 99): smallest and largest target, at most 999.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    Uniform on the right expressions. A flawed demonstration is uniform on all expressions.

    ## Registered ids
    - `envzoo/TextCountdown-v0`: the text environment, one answer per step.
    - `envzoo/TextCountdown-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(self, numbers: int = 3, largest: int = 9, low: int = 0, high: int = 99, split: str = "train") -> None:
        super().__init__(Countdown(numbers, largest, low, high), split)


TextCountdownEnv, TextCountdownTokensEnv, TextCountdownTokensVectorEnv = make_faces(TextCountdown)
