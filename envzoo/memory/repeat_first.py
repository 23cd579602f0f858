"""RepeatFirst: name the suit of the first card in every step (POPGym)."""

from __future__ import annotations

from numba import njit

from envzoo.kernel import KernelEnv, Kernels, KernelVectorEnv
from envzoo.memory.cards import CardGame, State, deal


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    deal(state, streams, where, options)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    cards = state.cards.shape[1]
    reward = 1.0 / (cards - 1)
    for i in range(where.size):
        if where[i]:
            time = state.clock[i]
            state.answers[i, time] = actions[i]
            rewards[i] = reward if actions[i] == state.cards[i, 0] else -reward
            state.clock[i] = time + 1
            terminated[i] = time + 2 == cards


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the suit of the present card."""
    for i in range(observation.shape[0]):
        observation[i] = state.cards[i, state.clock[i]]


class RepeatFirst(CardGame):
    """Name the suit of the first card in every step.

    ## Description
    Cards of shuffled decks are shown one per step, and the right action is always the suit of the first one. What must
    be remembered is little, but for the whole episode. The rules are those of POPGym (Morad et al., "POPGym:
    Benchmarking Partially Observable Reinforcement Learning", ICLR 2023, arXiv 2303.01859), except that the last card
    terminates the episode, while POPGym truncates it.

    ## Action space
    `Discrete(4)`: the suit.

    ## Observation space
    `Discrete(4)`: the suit of the present card.

    ## Reward
    1 / (cards - 1) for the right suit and -1 / (cards - 1) for a wrong one. The return lies in [-1, 1]; guessing has an
    expected return of -1/2.

    ## Start of an episode
    All decks are shuffled together. `reset(options={"cards": ...})` takes the suits, (cards,) or one row per episode.

    ## End of an episode
    Terminates after cards - 1 steps, when the last card is in view.

    ## Arguments
    - `decks` (1): number of decks of 52 cards; POPGym's three levels have 1, 8 and 16.

    ## Registered ids
    - `envzoo/RepeatFirst-v0`
    """

    def __init__(self, decks: int = 1) -> None:
        self._lay_out(decks, steps_per_card=1)
        self.parameters = ()
        self.kernels = Kernels(reset, step, observe)

    def solution(self, state: State, time: int) -> int | None:
        """Return 0, the index of the first card."""
        return 0

    def question(self, state: State) -> str:
        """Return the question that the agent has to answer, for the picture."""
        return "Which suit was shown first?"


class RepeatFirstEnv(KernelEnv):
    """Single environment of `RepeatFirst`."""

    definition_class = RepeatFirst


class RepeatFirstVectorEnv(KernelVectorEnv):
    """Vector environment of `RepeatFirst`."""

    definition_class = RepeatFirst
