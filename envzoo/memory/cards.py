"""CardGame: base of the games in which suits of shuffled cards are shown one after the other (POPGym)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError, shorten
from envzoo.kernel import Definition
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer
from envzoo.memory.timeline import SUIT_COLOURS, Column, draw_timeline
from envzoo.sizes import check_bytes

SUITS = 4
DECK = 52
NO_OPTION = -1
NO_ANSWER = -1
NAMES = "SDCH"  # spades, diamonds, clubs, hearts, as POPGym numbers them


class State(NamedTuple):
    """State of one episode."""

    cards: Any  # int8 (cards,), suits in the order in which they are shown
    answers: Any  # int8 (steps,), actions so far, then -1
    clock: Any  # number of steps so far


class Options(NamedTuple):
    """Options of `reset`."""

    cards: Any  # int8 (num_envs, cards), -1 in the first column for a shuffled deck


@njit(cache=True)
def deal(state, streams, where, options):
    """Shuffle the cards of the episodes marked in `where`, or take those of the options."""
    count = state.cards.shape[1]
    for i in range(where.size):
        if not where[i]:
            continue
        state.clock[i] = 0
        state.answers[i] = NO_ANSWER
        if options.cards[i, 0] != NO_OPTION:
            state.cards[i] = options.cards[i]
            continue
        for k in range(count):
            state.cards[i, k] = k % SUITS
        # Every order of the cards is equally likely (Fisher and Yates).
        for k in range(count - 1, 0, -1):
            other = integer(streams, i, k + 1)
            suit = state.cards[i, k]
            state.cards[i, k] = state.cards[i, other]
            state.cards[i, other] = suit


class CardGame(Definition):
    """Base of the card games; a subclass sets kernels and parameters after `_lay_out`.

    Attributes:
        num_cards: Number of cards, 52 for each deck.
        steps: Number of steps of an episode.
    """

    option_names = ("cards",)

    def _lay_out(self, decks: int, steps_per_card: int) -> None:
        decks = check_whole("decks", decks, 1, 1000)
        self.num_cards = DECK * decks
        self.steps = steps_per_card * self.num_cards - 1
        check_bytes(3 * self.num_cards, f"{decks} decks of cards")
        self.state = State(cards=(np.int8, (self.num_cards,)), answers=(np.int8, (self.steps,)), clock=np.int64)
        self.limits = {"cards": (0, SUITS - 1), "answers": (NO_ANSWER, SUITS - 1), "clock": (0, self.steps)}
        self.running_limits = {"clock": (0, self.steps - 1)}
        self.observation_space = spaces.Discrete(SUITS)
        self.action_space = spaces.Discrete(SUITS)

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the suits of the cards of each episode; see `Definition.options`."""
        cards = np.full((num_envs, self.num_cards), NO_OPTION, np.int8)
        if "cards" in given:
            suits = np.asarray(given["cards"])
            fits = suits.dtype.kind in "iu" and suits.shape in ((self.num_cards,), (num_envs, self.num_cards))
            if not fits or suits.min() < 0 or suits.max() >= SUITS:
                raise EnvzooError(
                    f"reset option cards is {shorten(repr(given['cards']))}; expected {self.num_cards} suits from 0 to "
                    f"{SUITS - 1}, or an array ({num_envs}, {self.num_cards}) of them"
                )
            cards[:] = suits
        return Options(cards)

    def shown(self, state: State, time: int) -> int | None:
        """Return the suit that is shown after `time` steps, or None for a card face down."""
        return int(state.cards[time])

    def solution(self, state: State, time: int) -> int | None:
        """Return which card answers the observation after `time` steps, or None where no answer counts."""
        raise NotImplementedError

    def draw(self, state: State) -> np.ndarray:
        """Draw the cards in a row, the one to be remembered circled, and the answers below."""
        columns = []
        for time in range(min(int(state.clock), self.steps - 1) + 1):
            suit, card = self.shown(state, time), self.solution(state, time)
            given = int(state.answers[time]) if time < len(state.answers) else NO_ANSWER
            right = None if card is None else given == state.cards[card]
            columns.append(
                Column(
                    "" if suit is None else NAMES[suit],
                    art.FRAME if suit is None else SUIT_COLOURS[suit],
                    "" if given == NO_ANSWER else NAMES[given],
                    right,
                )
            )
        asked = self.solution(state, len(columns) - 1) if state.clock < self.steps else None
        return draw_timeline(columns, asked, self.question(state))

    def question(self, state: State) -> str:
        """Return the question that the agent has to answer, for the picture."""
        raise NotImplementedError

    def describe(self, state: State) -> str:
        """Show the cards so far on one line, and the answers on the next."""
        last = min(int(state.clock), self.steps - 1)
        suits = [self.shown(state, time) for time in range(last + 1)]
        cards = "".join("?" if suit is None else NAMES[suit] for suit in suits)
        answers = "".join(NAMES[answer] for answer in state.answers[: int(state.clock)])
        return f"cards   {cards}\nanswers {answers}"
