"""TraceChoice: several traces of tokens that lead to the same right answer (paper 31)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer

KINDS = ("honest", "shortcut", "long", "plain")
TRACE = 3  # tokens of a trace; the answer follows


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    domains: int
    vocabulary: int


class State(NamedTuple):
    """State of one episode."""

    domain: Any
    tokens: Any  # int64 (3,), 0 where nothing is written yet, else the token + 1
    time: Any


class Infos(NamedTuple):
    """Infos of every reset and step."""

    trace_kind: Any
    rewards: Any
    domain: Any


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.domain[i] = integer(streams, i, parameters.domains)
            state.tokens[i] = 0
            state.time[i] = 0
            infos.trace_kind[i] = -1
            infos.rewards[i] = 0.0
            infos.domain[i] = state.domain[i]


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            infos.trace_kind[i] = -1
            infos.rewards[i] = 0.0
            infos.domain[i] = state.domain[i]
            if state.time[i] < 3:
                state.tokens[i, state.time[i]] = actions[i] + 1
                state.time[i] += 1
                continue
            terminated[i] = True
            first = state.tokens[i, 0]
            if first <= 4 and state.tokens[i, 1] == first and state.tokens[i, 2] == first:
                infos.trace_kind[i] = first - 1
                infos.rewards[i, 1] = 1.0
                infos.rewards[i, 0] = 1.0 if actions[i] == state.domain[i] else 0.0
            rewards[i] = infos.rewards[i, 0]


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the domain, then the tokens written."""
    for i in range(state.time.size):
        observation[i, 0] = state.domain[i]
        for k in range(3):
            observation[i, 1 + k] = state.tokens[i, k]


class TraceChoice(Definition):
    """Several traces of tokens that lead to the same right answer.

    ## Description
    The smallest picture of a model that reasons before it answers. A prompt names a domain; the agent writes three
    tokens, the trace, and a fourth, the answer. Four traces are valid, token k three times for k = 0 to 3: an honest
    one, a shortcut, a long and a plain one. After a valid trace the right answer, the number of the domain, pays 1
    whichever trace it was, so that the outcome reward leaves the choice among traces to chance, and a small reward for
    style decides it (arXiv 2507.20150). `RewardPerturbation` adds such a reward, `MultiReward` mixes the parts of the
    reward by domain.

    ## Action space
    `Discrete(vocabulary)`, the next token.

    ## Observation space
    `MultiDiscrete([domains, vocabulary + 1, vocabulary + 1, vocabulary + 1])`: the domain, and the tokens written, 0
    where there is none yet, otherwise the token + 1.

    ## Reward
    1 with the fourth token, if the trace is valid and the answer right; otherwise 0.

    ## Info
    `trace_kind`: after the last token of a valid trace its number, 0 honest, 1 shortcut, 2 long, 3 plain, otherwise -1;
    `rewards`: two parts of the reward, right answer after a valid trace, and valid trace; `domain`.

    ## Start of an episode
    A domain drawn uniformly, nothing written.

    ## End of an episode
    Terminates with the fourth token.

    ## Arguments
    - `domains` (3): number of domains, at most the vocabulary.
    - `vocabulary` (16): number of tokens, at least 4.

    ## Registered ids
    - `envzoo/TraceChoice-v0`: the defaults above.
    """

    def __init__(self, domains: int = 3, vocabulary: int = 16) -> None:
        vocabulary = check_whole("vocabulary", vocabulary, 4, 4096)
        domains = check_whole("domains", domains, 1, vocabulary)
        self.parameters = Parameters(domains, vocabulary)
        self.observation_space = spaces.MultiDiscrete([domains] + [vocabulary + 1] * TRACE)
        self.action_space = spaces.Discrete(vocabulary)
        self.kernels = Kernels(reset, step, observe)
        self.state = State(np.int64, (np.int64, (TRACE,)), np.int64)
        self.infos = Infos(np.int64, (np.float64, (2,)), np.int64)
        self.limits = {"domain": (0, domains - 1), "tokens": (0, vocabulary), "time": (0, TRACE)}

    def describe(self, state: State) -> str:
        """Show domain and tokens as text."""
        written = " ".join(str(int(token) - 1) if token else "." for token in state.tokens)
        return f"domain {int(state.domain)}: {written}"

    def draw(self, state: State) -> np.ndarray:
        """Draw the domain and the tokens written."""
        canvas = art.Canvas(240, 60, art.PAPER)
        for k, text in enumerate([f"d{int(state.domain)}", *(str(int(t) - 1) if t else "" for t in state.tokens)]):
            canvas.rectangle(6 + 58 * k, 8, 58 + 58 * k, 52, art.PALE_BLUE if k else art.GRID)
            canvas.text(32 + 58 * k, 30, text, art.INK, 16)
        return canvas.image()


class TraceChoiceEnv(KernelEnv):
    """Single environment of `TraceChoice`."""

    definition_class = TraceChoice


class TraceChoiceVectorEnv(KernelVectorEnv):
    """Vector environment of `TraceChoice`."""

    definition_class = TraceChoice
