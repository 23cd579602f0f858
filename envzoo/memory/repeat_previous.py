"""RepeatPrevious: name the suit of the card shown k - 1 steps before the present one (POPGym)."""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from envzoo.kernel import KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel.arguments import check_whole
from envzoo.memory.cards import CardGame, State, deal


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    k: int


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    deal(state, streams, where, options)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    cards, k = state.cards.shape[1], parameters.k
    reward = 1.0 / (cards - k)
    for i in range(where.size):
        if where[i]:
            time = state.clock[i]
            state.answers[i, time] = actions[i]
            if time + 1 >= k:
                rewards[i] = reward if actions[i] == state.cards[i, time + 1 - k] else -reward
            state.clock[i] = time + 1
            terminated[i] = time + 2 == cards


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the suit of the present card."""
    for i in range(observation.shape[0]):
        observation[i] = state.cards[i, state.clock[i]]


class RepeatPrevious(CardGame):
    """Name the suit of the card that was shown k - 1 steps before the present one.

    ## Description
    Cards of shuffled decks are shown one per step. From the k-th card on, the right action is the suit of the k-th
    most recent card, the present one included: k = 1 asks for the card in view, k = 4 for the one shown three steps
    before it. The agent must therefore keep the last k suits in order. The rules are those of POPGym (Morad et al.,
    "POPGym: Benchmarking Partially Observable Reinforcement Learning", ICLR 2023, arXiv 2303.01859), except that the
    last card terminates the episode, while POPGym truncates it.

    ## Action space
    `Discrete(4)`: the suit.

    ## Observation space
    `Discrete(4)`: the suit of the present card.

    ## Reward
    0 while fewer than k cards have been shown; then 1 / (cards - k) for the right suit and -1 / (cards - k) for a wrong
    one. The return lies in [-1, 1]; guessing has an expected return of -1/2.

    ## Start of an episode
    All decks are shuffled together. `reset(options={"cards": ...})` takes the suits, (cards,) or one row per episode.

    ## End of an episode
    Terminates after cards - 1 steps, when the last card is in view.

    ## Arguments
    - `k` (4): which of the most recent cards to name, counted from the present one.
    - `decks` (1): number of decks of 52 cards.

    ## Registered ids
    - `envzoo/RepeatPrevious-v0`: the defaults above.
    - `envzoo/RepeatPrevious-Easy-v0`: `k=4`, one deck, as POPGym's.
    - `envzoo/RepeatPrevious-Medium-v0`: `k=32`, two decks.
    - `envzoo/RepeatPrevious-Hard-v0`: `k=64`, three decks.
    """

    def __init__(self, k: int = 4, decks: int = 1) -> None:
        self._lay_out(decks, steps_per_card=1)
        self.k = check_whole("k", k, 1, self.num_cards - 1)
        self.parameters = Parameters(self.k)
        self.kernels = Kernels(reset, step, observe)

    def solution(self, state: State, time: int) -> int | None:
        """Return the index of the card to be named after `time` steps; None for the first k - 1 cards."""
        return time + 1 - self.k if time + 1 >= self.k else None

    def question(self, state: State) -> str:
        """Return the question that the agent has to answer, for the picture."""
        if self.k == 1:
            return "Which suit is in view?"
        return f"Which suit was shown {self.k - 1} step{'s' * (self.k > 2)} ago?"


class RepeatPreviousEnv(KernelEnv):
    """Single environment of `RepeatPrevious`."""

    definition_class = RepeatPrevious


class RepeatPreviousVectorEnv(KernelVectorEnv):
    """Vector environment of `RepeatPrevious`."""

    definition_class = RepeatPrevious
