"""Latch: the first symbol of a long sequence decides the answer at its end (paper 32)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer
from envzoo.memory.timeline import Column, draw_timeline
from envzoo.sizes import check_bytes

SYMBOLS, SIGNALS = 20, 2
NO_ANSWER = -1


class State(NamedTuple):
    """State of one episode."""

    symbols: Any  # int8 (length,), the first one 0 or 1, then distractors
    answer: Any  # the last action, -1 before the end
    clock: Any  # number of steps so far


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.clock[i] = 0
            state.answer[i] = NO_ANSWER
            state.symbols[i, 0] = integer(streams, i, SIGNALS)
            for k in range(1, state.symbols.shape[1]):
                state.symbols[i, k] = SIGNALS + integer(streams, i, SYMBOLS - SIGNALS)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    length = state.symbols.shape[1]
    for i in range(where.size):
        if where[i]:
            state.clock[i] += 1
            if state.clock[i] == length:
                state.answer[i] = actions[i]
                rewards[i] = 1.0 if actions[i] == state.symbols[i, 0] else -1.0
                terminated[i] = True


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the present symbol; the last one stays after the end."""
    last = state.symbols.shape[1] - 1
    for i in range(observation.shape[0]):
        observation[i] = state.symbols[i, min(state.clock[i], last)]


class Latch(Definition):
    """Name the first symbol of a sequence after a long run of distractors.

    ## Description
    The first symbol is 0 or 1; all others are distractors from 2 to 19. Only the action taken at the last symbol
    counts: it should be the first symbol. This is the latch task, used by Ramsauer et al. ("Hopfield
    Networks is All You Need", ICLR 2021, arXiv 2008.02217) and by Hochreiter and Schmidhuber before them.

    ## Action space
    `Discrete(2)`: the first symbol.

    ## Observation space
    `Discrete(20)`: the present symbol.

    ## Reward
    1 for the right answer in the last step, -1 for the wrong one, 0 before.

    ## Start of an episode
    The first symbol and the distractors are drawn independently and uniformly.

    ## End of an episode
    Terminates with the answer to the last symbol, after `length` steps.

    ## Arguments
    - `length` (32): number of symbols, from 2 to 10 000.

    ## Registered ids
    - `envzoo/Latch-v0`
    """

    def __init__(self, length: int = 32) -> None:
        self.length = check_whole("length", length, 2, 10_000)
        check_bytes(self.length, f"{self.length} symbols")
        self.parameters = ()
        self.state = State(symbols=(np.int8, (self.length,)), answer=np.int64, clock=np.int64)
        self.limits = {"symbols": (0, SYMBOLS - 1), "answer": (NO_ANSWER, SIGNALS - 1), "clock": (0, self.length)}
        self.running_limits = {"clock": (0, self.length - 1)}
        self.observation_space = spaces.Discrete(SYMBOLS)
        self.action_space = spaces.Discrete(SIGNALS)
        self.kernels = Kernels(reset, step, observe)

    def draw(self, state: State) -> np.ndarray:
        """Draw the symbols in a row, the first one circled, and the answer below the last."""
        last, ended = min(int(state.clock), self.length - 1), state.clock == self.length
        columns = [
            Column(str(symbol), art.INK if k else art.BLUE, "", None)
            for k, symbol in enumerate(state.symbols[: last + 1].tolist())
        ]
        if ended:
            columns[-1] = columns[-1]._replace(answer=str(int(state.answer)), right=state.answer == state.symbols[0])
            return draw_timeline(columns, 0, "The answer has been given")
        left = self.length - 1 - last
        question = f"Remember the first symbol: {left} distractors to come" if left else "Which symbol came first?"
        return draw_timeline(columns, 0, question)

    def describe(self, state: State) -> str:
        """Show the symbols so far, and the answer."""
        last = min(int(state.clock), self.length - 1)
        answer = "" if state.answer == NO_ANSWER else f" -> {int(state.answer)}"
        return " ".join(map(str, state.symbols[: last + 1].tolist())) + answer


class LatchEnv(KernelEnv):
    """Single environment of `Latch`."""

    definition_class = Latch


class LatchVectorEnv(KernelVectorEnv):
    """Vector environment of `Latch`."""

    definition_class = Latch
