"""TextSumTo (both versions) and TextCountdown as automata over tokens, with the prompts of the environments."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.agents.text.table.puzzle import TokenPuzzle, build_puzzle
from envzoo.kernel.arguments import check_whole
from envzoo.reasoning.countdown import Countdown
from envzoo.reasoning.sum_to import SumTo
from envzoo.reasoning.sum_to_rules import SumToRules
from envzoo.reasoning.task import DIGIT, Task

DIGITS = "0123456789"
SIGNS = "+-*"


def _prompts(task: Task, split: str) -> np.ndarray:
    """Return all prompts of a split, (n, P)."""
    return task.sample(task.num_distinct(split), split)


def sum_to(**arguments: Any) -> TokenPuzzle:
    """Make TextSumTo as an automaton: a token is a digit, and the policy sees its position and what remains.

    The signs between the digits, which never vary, are left out. A digit is plausible if the remaining digits can still
    reach the sum.

    Args:
        **arguments: Arguments of the environment, without the split.
    """
    task = SumTo(**arguments)
    terms, width = task.parameters.terms, task.parameters.width

    def start(prompt: np.ndarray) -> tuple[int, int]:
        return 0, int("".join(str(token - DIGIT) for token in prompt[1 : width + 1]))

    def plausible(state: tuple[int, int], digit: int) -> bool:
        k, left = state
        return 0 <= left - digit <= 9 * (terms - k - 1)

    train, evaluation = ([start(p) for p in _prompts(task, split)] for split in ("train", "evaluation"))
    return build_puzzle(
        "sum_to",
        DIGITS,
        train,
        evaluation,
        advance=lambda state, digit: (state[0] + 1, max(state[1] - digit, -1) if state[1] >= 0 else -1),
        reward=lambda state: float(state[1] == 0) if state[0] == terms else None,
        plausible=plausible,
    )


def sum_to_rules(**arguments: Any) -> TokenPuzzle:
    """Make TextSumTo-v1 as an automaton: a token is a digit, and the policy sees what matters at its position.

    At the first position that is the required digit; at the others it is the position, what remains of the sum, and the
    forbidden digit. So training carries over to held-out prompts. A plausible first digit is within one of the required
    one; a plausible later one is not forbidden and leaves a sum that the remaining digits can reach.

    Args:
        **arguments: Arguments of the environment, without the split.
    """
    task = SumToRules(**arguments)
    terms, width = task.parameters.terms, task.parameters.width

    def start(prompt: np.ndarray) -> tuple[int, int, int, int]:
        total = int("".join(str(token - DIGIT) for token in prompt[1 : width + 1]))
        return 0, total, int(prompt[width + 4] - DIGIT), int(prompt[width + 2] - DIGIT)

    def advance(state: tuple[int, int, int, int], digit: int) -> tuple[int, int, int, int]:
        k, left, forbidden, required = state  # after the first position, `required` is -1 once a rule is broken
        kept = required >= 0 and digit != forbidden and (k > 0 or digit == required)
        return k + 1, max(left - digit, -1) if left >= 0 else -1, forbidden, 0 if kept else -1

    def plausible(seen: tuple[int, ...], digit: int) -> bool:
        if len(seen) == 1:
            return abs(digit - seen[0]) <= 1
        k, left, forbidden = seen
        return digit != forbidden and 0 <= left - digit <= 9 * (terms - k - 1)

    train, evaluation = ([start(p) for p in _prompts(task, split)] for split in ("train", "evaluation"))
    return build_puzzle(
        "sum_to_rules",
        DIGITS,
        train,
        evaluation,
        advance,
        reward=lambda state: float(state[1] == 0 and state[3] == 0) if state[0] == terms else None,
        sees=lambda state: state[:3] if state[0] else state[3:],
        plausible=plausible,
    )


def countdown(**arguments: Any) -> TokenPuzzle:
    """Make TextCountdown as an automaton: tokens are digits and signs, and the policy sees the whole state.

    The state is the position, the numbers that are left, the value so far, the sign before the next number, and the
    target. Prompts with the same numbers and target share rows, others do not, so nothing carries over to held-out
    prompts. An answer ends with its first error. A token is plausible if it causes none.

    Args:
        **arguments: Arguments of the environment, without the split; few `numbers` or a small `largest` make a small
            table.
    """
    task = Countdown(**arguments)
    count = task.parameters.count

    def start(prompt: np.ndarray) -> tuple:
        numbers = tuple(int(prompt[2 * k] - DIGIT) for k in range(count))
        return 0, numbers, 0, "+", int("".join(str(token - DIGIT) for token in prompt[2 * count : -1]))

    def advance(state: tuple, token: int) -> tuple:
        k, left, value, sign, target = state
        if k % 2:
            return (k + 1, left, value, SIGNS[token - 10], target) if token >= 10 else (k + 1,)
        if token not in left:
            return (k + 1,)
        rest = list(left)
        rest.remove(token)
        value = {"+": value + token, "-": value - token, "*": value * token}[sign]
        return k + 1, tuple(rest), value, "", target

    def reward(state: tuple) -> float | None:
        if len(state) == 1:
            return 0.0
        return float(state[2] == state[4]) if state[0] == 2 * count - 1 else None

    train, evaluation = ([start(p) for p in _prompts(task, split)] for split in ("train", "evaluation"))
    tokens = (*DIGITS, *SIGNS)
    return build_puzzle(
        "countdown", tokens, train, evaluation, advance, reward,
        plausible=lambda state, token: len(advance(state, token)) > 1,
    )  # fmt: skip


def walk(length: int = 9, moves: int = 12) -> TokenPuzzle:
    """Make a walk along a line, whose failures are longer than its successes; it has no environment.

    A prompt is a place and a goal. A token moves one or two places to the left or to the right, as far as the line
    goes. The answer ends at the goal, which earns 1, or after so many moves, which earns nothing. The policy sees the
    place and the goal, but not the number of moves. A fifth of the prompts is held out.

    Args:
        length: Number of places, at least 3.
        moves: Maximum number of moves, at least `length`.

    Raises:
        EnvzooError: A number is too small.
    """
    length = check_whole("length", length, 3)
    moves = check_whole("moves", moves, length)
    steps = (-1, 1, -2, 2)
    pairs = [(0, place, goal) for place in range(length) for goal in range(length) if place != goal]
    return build_puzzle(
        "walk",
        tuple(f"{step:+d}" for step in steps),
        [pair for pair in pairs if sum(pair) % 5],
        [pair for pair in pairs if sum(pair) % 5 == 0],
        advance=lambda state, token: (state[0] + 1, min(max(state[1] + steps[token], 0), length - 1), state[2]),
        reward=lambda state: 1.0 if state[1] == state[2] else 0.0 if state[0] == moves else None,
        sees=lambda state: state[1:],
    )
