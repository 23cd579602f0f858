"""BitPatternBag: does one of the bit patterns in a bag belong to a fixed set? (paper 32)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer

NO_ANSWER = -1
CELL = 14


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    signals: np.ndarray  # int8 (patterns, bits), the signal patterns


class State(NamedTuple):
    """State of one episode."""

    bag: Any  # int8 (instances, bits)
    label: Any  # 1 with a signal pattern in the bag, else 0
    place: Any  # index of that instance; drawn, and without meaning, when there is none
    answer: Any  # the action, -1 before it


@njit(cache=True)
def _is_reserved(instance, signals):
    """Tell whether an instance is all zero or equal to a signal pattern."""
    if not instance.any():
        return True
    for p in range(signals.shape[0]):  # noqa: SIM110  (Numba cannot compile `any` of a generator)
        if (instance == signals[p]).all():
            return True
    return False


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    signals = parameters.signals
    instances, bits = state.bag.shape[1:]
    for i in range(where.size):
        if where[i]:
            for k in range(instances):
                while True:
                    for bit in range(bits):
                        state.bag[i, k, bit] = integer(streams, i, 2)
                    if not _is_reserved(state.bag[i, k], signals):
                        break
            state.label[i] = integer(streams, i, 2)
            state.place[i] = integer(streams, i, instances)
            signal = integer(streams, i, signals.shape[0])
            if state.label[i] == 1:
                state.bag[i, state.place[i]] = signals[signal]
            state.answer[i] = NO_ANSWER


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.answer[i] = actions[i]
            rewards[i] = 1.0 if actions[i] == state.label[i] else -1.0
            terminated[i] = True


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the bag."""
    observation[:] = state.bag


class BitPatternBag(Definition):
    """Decide whether one of the bit patterns in a bag belongs to a fixed set of signals.

    ## Description
    A bag holds instances of random bits, in no particular order. In half of the bags one instance is replaced by one of
    the signal patterns, which are the same in all episodes; no other instance is a signal or all zero. This is the
    multiple-instance task of Ramsauer et al. ("Hopfield Networks is All You Need", ICLR 2021, arXiv 2008.02217) as a
    decision of one step: an agent has to learn the signals from the rewards, and to find one among the instances.

    ## Action space
    `Discrete(2)`: 1 for a signal in the bag, 0 for none.

    ## Observation space
    `MultiBinary([instances, bits])`.

    ## Reward
    1 for the right answer, -1 for the wrong one.

    ## Start of an episode
    The bits are drawn independently, and again for an instance that would be reserved; then the label, the place and
    the signal, all uniformly.

    ## End of an episode
    Terminates after the first step.

    ## Arguments
    - `instances` (16): number of instances of a bag.
    - `bits` (8): number of bits of an instance, up to 62.
    - `patterns` (8): number of signal patterns, at most half of the 2^bits - 1 that are not zero.
    - `pattern_seed` (0): seed of the signal patterns.

    ## Registered ids
    - `envzoo/BitPatternBag-v0`
    """

    def __init__(self, instances: int = 16, bits: int = 8, patterns: int = 8, pattern_seed: int = 0) -> None:
        instances, bits = check_whole("instances", instances, 1, 10_000), check_whole("bits", bits, 2, 62)
        patterns = check_whole("patterns", patterns, 1, 10_000)
        if 2 * patterns > 2**bits - 1:
            raise EnvzooError(
                f"patterns is {patterns}; expected at most half of the {2**bits - 1} patterns of {bits} bits"
            )
        generator = np.random.default_rng(check_whole("pattern_seed", pattern_seed, 0))
        chosen: list[int] = []
        while len(chosen) < patterns:
            number = int(generator.integers(1, 2**bits))
            if number not in chosen:
                chosen.append(number)
        signals = np.array([[number >> bit & 1 for bit in range(bits)] for number in chosen], np.int8)
        self.parameters = Parameters(signals)
        self.state = State(bag=(np.int8, (instances, bits)), label=np.int64, place=np.int64, answer=np.int64)
        self.limits = {"bag": (0, 1), "label": (0, 1), "place": (0, instances - 1), "answer": (NO_ANSWER, 1)}
        self.observation_space = spaces.MultiBinary([instances, bits])
        self.action_space = spaces.Discrete(2)
        self.kernels = Kernels(reset, step, observe)

    def draw(self, state: State) -> np.ndarray:
        """Draw the signal patterns on the left and the bag on the right, with a ring around a signal in it."""
        signals, bag = self.parameters.signals, state.bag
        rows, bits = max(len(signals), len(bag)), bag.shape[1]
        block = bits * CELL
        canvas = art.Canvas(2 * block + 56, rows * CELL + 70)
        for left, title, grid in ((14, "signals", signals), (block + 42, "bag", bag)):
            canvas.text(left, 14, title, art.INK, 12, anchor="lm")
            for (row, column), bit in np.ndenumerate(grid):
                x, y = left + column * CELL, 26 + row * CELL
                canvas.rectangle(x + 1, y + 1, x + CELL - 1, y + CELL - 1, art.BLUE if bit else art.PALE_BLUE)
        if state.label == 1:
            x, y = block + 42, 26 + int(state.place) * CELL
            for start, end in (((-2, 0), (block + 2, 0)), ((-2, CELL), (block + 2, CELL))):
                canvas.line([(x + start[0], y + start[1]), (x + end[0], y + end[1])], art.ORANGE, 2)
        canvas.text(14, rows * CELL + 38, "Does the bag hold one of the signals?", art.INK, 12, anchor="lm")
        canvas.text(14, rows * CELL + 56, self._verdict(state), art.INK, 12, anchor="lm")
        return canvas.image()

    def describe(self, state: State) -> str:
        """Show the instances of the bag, one per line, and the answer."""
        return "\n".join("".join(map(str, row)) for row in state.bag.tolist()) + "\n" + self._verdict(state)

    @staticmethod
    def _verdict(state: State) -> str:
        truth = "yes, it does" if state.label == 1 else "no, it does not"
        if state.answer == NO_ANSWER:
            return truth
        answer = "yes" if state.answer == 1 else "no"
        return f"{truth}; answered {answer}: {'right' if state.answer == state.label else 'wrong'}"


class BitPatternBagEnv(KernelEnv):
    """Single environment of `BitPatternBag`."""

    definition_class = BitPatternBag


class BitPatternBagVectorEnv(KernelVectorEnv):
    """Vector environment of `BitPatternBag`."""

    definition_class = BitPatternBag
