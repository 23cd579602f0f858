"""Autoencode: watch all cards, then name their suits in reverse order (POPGym)."""

from __future__ import annotations

from gymnasium import spaces
from numba import njit

from envzoo.kernel import KernelEnv, Kernels, KernelVectorEnv
from envzoo.memory.cards import SUITS, CardGame, State, deal

PLAY, WATCH = 0, 1


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    deal(state, streams, where, options)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    cards = state.cards.shape[1]
    reward = 1.0 / cards
    for i in range(where.size):
        if where[i]:
            time = state.clock[i]
            state.answers[i, time] = actions[i]
            if time + 1 >= cards:
                rewards[i] = reward if actions[i] == state.cards[i, 2 * (cards - 1) - time] else -reward
            state.clock[i] = time + 1
            terminated[i] = time + 2 == 2 * cards


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the phase and, as long as cards are dealt, the suit of the present one."""
    cards = state.cards.shape[1]
    for i in range(observation.shape[0]):
        time = state.clock[i]
        observation[i, 0] = WATCH if time + 1 < cards else PLAY
        observation[i, 1] = state.cards[i, time] if time < cards else 0


class Autoencode(CardGame):
    """Watch all cards, then name their suits in reverse order.

    ## Description
    First all cards of shuffled decks are shown, one per step; actions have no effect. With the last card the phase
    changes, and from then on the right action is the last card's suit, then the one before it, and so on to the first.
    The agent has to store the whole sequence. The rules are those of POPGym (Morad et al., "POPGym: Benchmarking
    Partially Observable Reinforcement Learning", ICLR 2023, arXiv 2303.01859).

    ## Action space
    `Discrete(4)`: the suit.

    ## Observation space
    `MultiDiscrete([2, 4])`: the phase (1 watch, 0 play) and the suit of the present card. The last card is shown in the
    phase 0; after it the suit is 0.

    ## Reward
    0 while watching; then 1 / cards for the right suit and -1 / cards for a wrong one. The return lies in [-1, 1];
    guessing has an expected return of -1/2.

    ## Start of an episode
    All decks are shuffled together. `reset(options={"cards": ...})` takes the suits, (cards,) or one row per episode.

    ## End of an episode
    Terminates after 2 * cards - 1 steps, when all cards have been named.

    ## Arguments
    - `decks` (1): number of decks of 52 cards; POPGym's three levels have 1, 2 and 3.

    ## Registered ids
    - `envzoo/Autoencode-v0`
    """

    def __init__(self, decks: int = 1) -> None:
        self._lay_out(decks, steps_per_card=2)
        self.observation_space = spaces.MultiDiscrete([2, SUITS])
        self.parameters = ()
        self.kernels = Kernels(reset, step, observe)

    def shown(self, state: State, time: int) -> int | None:
        """Return the suit that is shown after `time` steps, None after the last card."""
        return int(state.cards[time]) if time < self.num_cards else None

    def solution(self, state: State, time: int) -> int | None:
        """Return the index of the card to be named after `time` steps; None while watching."""
        return 2 * (self.num_cards - 1) - time if time + 1 >= self.num_cards else None

    def question(self, state: State) -> str:
        """Return the question that the agent has to answer, for the picture."""
        left = self.steps - int(state.clock)
        if left > self.num_cards:
            return f"Watch: {left - self.num_cards} more cards to come"
        return f"Name the cards in reverse order: {left} left" if left else "All cards have been named"


class AutoencodeEnv(KernelEnv):
    """Single environment of `Autoencode`."""

    definition_class = Autoencode


class AutoencodeVectorEnv(KernelVectorEnv):
    """Vector environment of `Autoencode`."""

    definition_class = Autoencode
