"""Puzzles as finite automata over tokens, for which success, entropy and covariance can be computed exactly."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from envzoo.errors import EnvzooError, unknown

MOST_STATES = 2_000_000
ENDED = -1


@dataclass(frozen=True)
class TokenPuzzle:
    """A puzzle whose answers are paths through a finite automaton; create it with `build_puzzle`.

    States are numbered so that every token leads to a state of a higher number. The policy sees the row of a state: all
    states of a row share one distribution over the next token.

    Attributes:
        name: Name in messages.
        tokens: The V tokens, for printing.
        after: int64 (N, V), the state that a token leads to; -1 where the answer has ended.
        row: int64 (N,), the row of the table that belongs to a state; -1 where the answer has ended.
        reward: float64 (N,), the reward of an answer that ends in a state; 0 elsewhere.
        plausible: bool (R, V), the tokens that a policy of some training prefers at first.
        train: int64, first states of the training prompts.
        evaluation: int64, first states of the held-out prompts.
        longest: Maximum number of tokens per answer (T).
    """

    name: str
    tokens: tuple[str, ...]
    after: np.ndarray
    row: np.ndarray
    reward: np.ndarray
    plausible: np.ndarray
    train: np.ndarray
    evaluation: np.ndarray
    longest: int

    @property
    def num_rows(self) -> int:
        """Number of rows of the table (R)."""
        return len(self.plausible)

    def prompts(self, split: str) -> np.ndarray:
        """Return the first states of the prompts of a split: "train", "evaluation" or "all".

        Raises:
            UnknownNameError: The split is unknown.
        """
        splits = {"train": (self.train,), "evaluation": (self.evaluation,), "all": (self.train, self.evaluation)}
        if split not in splits:
            raise unknown("split", split, splits)
        return np.concatenate(splits[split])


def build_puzzle(
    name: str,
    tokens: Sequence[str],
    train: Sequence[Hashable],
    evaluation: Sequence[Hashable],
    advance: Callable[[Hashable, int], Hashable],
    reward: Callable[[Hashable], float | None],
    sees: Callable[[Hashable], Hashable] = lambda state: state,
    plausible: Callable[[Hashable, int], bool] = lambda seen, token: True,
) -> TokenPuzzle:
    """Enumerate all states of a puzzle that its prompts can reach.

    Args:
        name: Name in messages.
        tokens: The V tokens.
        train: First states of the training prompts. A state is any hashable value; it must contain the position in the
            answer, or something else that no state repeats along an answer.
        evaluation: First states of the held-out prompts.
        advance: Returns the state after a state and the number of a token.
        reward: Returns the reward of an answer that has ended in a state, None if the answer is not finished.
        sees: Returns what the policy sees of a state; all states in which it sees the same share one row of the table.
        plausible: Returns whether a policy of some training prefers a token, given what it sees.

    Raises:
        EnvzooError: There are no prompts or tokens, more than 2,000,000 states, or answers of different numbers of
            tokens lead to the same state.
    """
    if not tokens or not train:
        raise EnvzooError(
            f"the puzzle {name} has {len(tokens)} tokens and {len(train)} training prompts; expected both"
        )
    layer = list(dict.fromkeys([*train, *evaluation]))
    number = {state: k for k, state in enumerate(layer)}
    rows: dict[Hashable, int] = {}
    after, row, rewards = [], [], []
    longest = 0
    while layer:
        following: dict[Hashable, None] = {}
        pending = []
        for state in layer:
            earned = reward(state)
            if earned is not None:
                pending.append((ENDED, None, float(earned)))
                continue
            reached = [advance(state, token) for token in range(len(tokens))]
            following.update(dict.fromkeys(reached))
            pending.append((rows.setdefault(sees(state), len(rows)), reached, 0.0))
        if following:
            longest += 1
        for state in following:
            if state in number:
                raise EnvzooError(f"a state of the puzzle {name} repeats along an answer; put the position into it")
            number[state] = len(number)
        if len(number) > MOST_STATES:
            raise EnvzooError(f"the puzzle {name} has more than {MOST_STATES:,} states; make it smaller")
        for which, reached, earned in pending:
            row.append(which)
            rewards.append(earned)
            after.append([ENDED] * len(tokens) if reached is None else [number[state] for state in reached])
        layer = list(following)
    seen = list(rows)
    return TokenPuzzle(
        name=name,
        tokens=tuple(tokens),
        after=np.array(after, np.int64),
        row=np.array(row, np.int64),
        reward=np.array(rewards, np.float64),
        plausible=np.array([[plausible(what, token) for token in range(len(tokens))] for what in seen], np.bool_),
        train=np.array([number[state] for state in train], np.int64),
        evaluation=np.array([number[state] for state in evaluation], np.int64),
        longest=longest,
    )
