"""AssociativeRecall: pairs of keys and values are shown, then values are asked for by their keys (paper 32)."""

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

KEYS, VALUES = 16, 8
SHOW, ASK = 0, 1
NO_ANSWER = -1
LETTERS = "ABCDEFGHIJKLMNOP"


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    pairs: int
    queries: int


class State(NamedTuple):
    """State of one episode."""

    keys: Any  # int8 (16,), a random order of the keys, of which the first `pairs` are shown
    values: Any  # int8 (pairs,)
    queries: Any  # int64 (queries,), numbers of the pairs that are asked for
    answers: Any  # int8 (pairs + queries,), actions so far, then -1
    clock: Any  # number of steps so far


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.clock[i] = 0
            state.answers[i] = NO_ANSWER
            for k in range(KEYS):
                state.keys[i, k] = k
            for k in range(parameters.pairs):  # the first steps of a shuffle (Fisher and Yates)
                other = k + integer(streams, i, KEYS - k)
                key = state.keys[i, k]
                state.keys[i, k] = state.keys[i, other]
                state.keys[i, other] = key
                state.values[i, k] = integer(streams, i, VALUES)
            for k in range(parameters.queries):
                state.queries[i, k] = integer(streams, i, parameters.pairs)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    reward, steps = 1.0 / parameters.queries, parameters.pairs + parameters.queries
    for i in range(where.size):
        if where[i]:
            time = state.clock[i]
            state.answers[i, time] = actions[i]
            if time >= parameters.pairs:
                asked = state.queries[i, time - parameters.pairs]
                rewards[i] = reward if actions[i] == state.values[i, asked] else -reward
            state.clock[i] = time + 1
            terminated[i] = time + 1 == steps


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: a pair, or the key of a query; nothing new after the last one."""
    last = parameters.pairs + parameters.queries - 1
    for i in range(observation.shape[0]):
        time = min(state.clock[i], last)
        if time < parameters.pairs:
            observation[i, 0] = state.keys[i, time]
            observation[i, 1] = state.values[i, time]
            observation[i, 2] = SHOW
        else:
            observation[i, 0] = state.keys[i, state.queries[i, time - parameters.pairs]]
            observation[i, 1] = VALUES
            observation[i, 2] = ASK


class AssociativeRecall(Definition):
    """Watch pairs of keys and values, then name the values that belong to given keys.

    ## Description
    First pairs of a key and a value are shown, one per step; the keys differ from each other. Then come queries, which
    show a key alone; the right action is the value that was shown with it. The agent has to store bindings and to look
    them up by content, for which associative memories such as Hopfield layers are made (Ramsauer et al., "Hopfield
    Networks is All You Need", ICLR 2021, arXiv 2008.02217).

    ## Action space
    `Discrete(8)`: the value.

    ## Observation space
    `MultiDiscrete([16, 9, 2])`: the key; the value, 8 in a query; and the phase, 0 for a pair and 1 for a query.

    ## Reward
    0 while pairs are shown; then 1 / queries for the right value and -1 / queries for a wrong one. The return lies in
    [-1, 1]; guessing has an expected return of -3/4.

    ## Start of an episode
    Keys are drawn without repetition, values and queries independently of each other, all uniformly.

    ## End of an episode
    Terminates after pairs + queries steps.

    ## Arguments
    - `pairs` (8): number of pairs, up to 16.
    - `queries` (8): number of queries.

    ## Registered ids
    - `envzoo/AssociativeRecall-v0`
    """

    def __init__(self, pairs: int = 8, queries: int = 8) -> None:
        self.pairs, self.queries = check_whole("pairs", pairs, 1, KEYS), check_whole("queries", queries, 1, 10_000)
        steps = self.pairs + self.queries
        self.parameters = Parameters(self.pairs, self.queries)
        self.state = State(
            keys=(np.int8, (KEYS,)),
            values=(np.int8, (self.pairs,)),
            queries=(np.int64, (self.queries,)),
            answers=(np.int8, (steps,)),
            clock=np.int64,
        )
        self.limits = {
            "keys": (0, KEYS - 1),
            "values": (0, VALUES - 1),
            "queries": (0, self.pairs - 1),
            "answers": (NO_ANSWER, VALUES - 1),
            "clock": (0, steps),
        }
        self.running_limits = {"clock": (0, steps - 1)}
        self.observation_space = spaces.MultiDiscrete([KEYS, VALUES + 1, 2])
        self.action_space = spaces.Discrete(VALUES)
        self.kernels = Kernels(reset, step, observe)

    def draw(self, state: State) -> np.ndarray:
        """Draw pairs and queries in a row, the pair that is asked for circled, and the answers below."""
        steps, columns, asked = self.pairs + self.queries, [], None
        for time in range(min(int(state.clock), steps - 1) + 1):
            given = int(state.answers[time])
            answer = "" if given == NO_ANSWER else str(given)
            if time < self.pairs:
                text = f"{LETTERS[state.keys[time]]}{state.values[time]}"
                columns.append(Column(text, art.BLUE, answer, None))
            else:
                asked = int(state.queries[time - self.pairs])
                right = given == state.values[asked]
                columns.append(Column(f"{LETTERS[state.keys[asked]]}?", art.INK, answer, right))
        if state.clock >= steps:
            return draw_timeline(columns, None, "All queries have been answered")
        question = "Remember the pairs" if asked is None else f"Which value was shown with {columns[-1].shown[0]}?"
        return draw_timeline(columns, asked, question)

    def describe(self, state: State) -> str:
        """Show pairs and queries so far on one line, and the answers on the next."""
        last = min(int(state.clock), self.pairs + self.queries - 1)
        words = []
        for time in range(last + 1):
            query = time >= self.pairs
            pair = int(state.queries[time - self.pairs]) if query else time
            words.append(LETTERS[state.keys[pair]] + ("?" if query else str(state.values[pair])))
        answers = " ".join(f"{answer:2d}" for answer in state.answers[: int(state.clock)])
        return f"shown   {' '.join(words)}\nanswers {answers}"


class AssociativeRecallEnv(KernelEnv):
    """Single environment of `AssociativeRecall`."""

    definition_class = AssociativeRecall


class AssociativeRecallVectorEnv(KernelVectorEnv):
    """Vector environment of `AssociativeRecall`."""

    definition_class = AssociativeRecall
