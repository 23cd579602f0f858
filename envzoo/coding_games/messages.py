"""Parts common to all Markov coding games: the message, and the receiver with its belief and guess."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.coding_games import coupling_kernels as couplings
from envzoo.coding_games.coupling_kernels import entropy
from envzoo.errors import EnvzooError, unknown
from envzoo.kernel.arguments import check_choice, check_whole
from envzoo.kernel.stream import uniform
from envzoo.sizes import check_bytes

SILENT, COUPLING, LIKELIHOOD = range(3)  # the conventions
NO_OPTION = -1


class Messages(NamedTuple):
    """Parameters of messages and receiver shared by all episodes, as `parameters.messages`.

    A message is a tuple of B independent blocks (usually one); arrays over messages concatenate the blocks, N entries
    in total.
    """

    offsets: np.ndarray  # int64 (B + 1,), start of each block
    prior: np.ndarray  # float64 (N,)
    cumulative: np.ndarray  # float64 (N,), running sums of the prior within each block
    limits: np.ndarray  # float64 (B,), largest number of bits per step for the code of a block
    encoder: int
    convention: int
    likelihood: np.ndarray  # float64 (S, A, N), or (1, 1, 1) if there is no table
    priority: float
    horizon: int
    player: bool  # whether the receiver is a player; otherwise its guess is Bayes-optimal


class Infos(NamedTuple):
    """Entries of `info`."""

    correct: Any
    guess: Any
    message: Any
    discounted_return: Any
    belief_entropy: Any
    rate_limit: Any
    action_mask: Any


class Options(NamedTuple):
    """Options of `reset`."""

    message: Any
    state: Any


# ---------------------------------------------------------------------------- kernels


@njit(cache=True)
def largest_entropy_block(belief: np.ndarray, offsets: np.ndarray) -> int:
    """Return the block whose belief has the largest entropy, the first of equals; belief (N,), offsets (B + 1,)."""
    best, most = 0, -1.0
    if offsets.size == 2:
        return best
    for block in range(offsets.size - 1):
        h = entropy(belief[offsets[block] : offsets[block + 1]])
        if h > most:
            best, most = block, h
    return best


@njit(cache=True)
def listen(messages, belief, policy, likelihood, action):
    """Update the receiver's belief (N,) in place after one action, by the public convention.

    Under the coupling convention the sender hides the block of largest entropy in `policy` (A,), the distribution of
    the carrier's action; otherwise `likelihood` (N,) is the column of the table. An action that the convention rules
    out for every message does not change the belief.
    """
    if messages.convention == COUPLING:
        block = largest_entropy_block(belief, messages.offsets)
        part = belief[messages.offsets[block] : messages.offsets[block + 1]]
        labels, channel = couplings.message_policy(part, policy, messages.limits[block], messages.encoder)
        couplings.update_belief(part, labels, channel, action)
    elif messages.convention == LIKELIHOOD:
        total = 0.0
        for m in range(belief.size):
            total += belief[m] * likelihood[m]
        if total > 0.0:
            for m in range(belief.size):
                belief[m] = belief[m] * likelihood[m] / total


@njit(cache=True)
def begin(messages, state, streams, options, i):
    """Initialise the message and the belief of episode i."""
    for block in range(messages.limits.size):
        first, last = messages.offsets[block], messages.offsets[block + 1]
        message = options.message[i, block]
        if message == NO_OPTION:
            u, message = uniform(streams, i), 0
            while u >= messages.cumulative[first + message] and first + message < last - 1:
                message += 1
        state.message[i, block] = message
        state.guess[i, block] = np.argmax(messages.prior[first:last])
    state.belief[i] = messages.prior
    state.over[i] = False
    state.discounted_return[i] = 0.0
    state.time[i] = 0


@njit(cache=True)
def correct(state, i):
    """Return whether the receiver's current guess is the message."""
    same = True
    for block in range(state.message.shape[1]):
        same = same and state.message[i, block] == state.guess[i, block]
    return same


@njit(cache=True)
def settle(messages, state, ended, i):
    """Update the guess of a Bayes receiver after a move; returns the message reward, due when the walk has ended."""
    if messages.player:
        state.over[i] = ended
        return 0.0
    for block in range(messages.limits.size):
        first, last = messages.offsets[block], messages.offsets[block + 1]
        state.guess[i, block] = couplings.guess(state.belief[i, first:last])
    return messages.priority if ended and correct(state, i) else 0.0


@njit(cache=True)
def report(messages, state, infos, i):
    """Write the infos of episode i, except the action mask."""
    # A single message is a number, several blocks are a row: both can be written as rows.
    guess = infos.guess.reshape(state.guess.shape)
    message = infos.message.reshape(state.message.shape)
    total, most = 0.0, 0.0
    for block in range(messages.limits.size):
        guess[i, block] = state.guess[i, block]
        message[i, block] = state.message[i, block]
        total += entropy(state.belief[i, messages.offsets[block] : messages.offsets[block + 1]])
        most = max(most, messages.limits[block])
    infos.correct[i] = correct(state, i)
    infos.discounted_return[i] = state.discounted_return[i]
    infos.belief_entropy[i] = total
    infos.rate_limit[i] = most


# ---------------------------------------------------------------------------- arguments


@dataclass(frozen=True)
class MessageRules:
    """Validated arguments common to all coding games; see the manuals of the games.

    Raises:
        EnvzooError: A value is invalid.
        UnknownNameError: The encoder, receiver or convention is unknown.
    """

    num_messages: int | Sequence[int] = 64
    message_priority: float = 1.0
    prior: Any = None
    rate: float = 1.0
    encoder: str = "ebim"
    receiver: str = "bayes"
    convention: Any = "coupling"
    horizon: int = 200

    def __post_init__(self) -> None:
        check_choice("encoder", self.encoder, couplings.ENCODERS)
        if self.receiver not in ("bayes", "player"):
            raise unknown("receiver", self.receiver, ("bayes", "player"))
        for name, value in (("message_priority", self.message_priority), ("rate", self.rate)):
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not 0 <= value < math.inf:
                raise EnvzooError(f"{name} is {value!r}; expected a finite number of at least 0")
        check_whole("horizon", self.horizon, 1)
        self.sizes  # noqa: B018  (checks num_messages)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each block."""
        given = self.num_messages
        blocks = given if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str) else (given,)
        if not len(blocks):
            raise EnvzooError("num_messages is empty; expected a number of messages, or one for each block")
        return tuple(check_whole("num_messages", size, 2) for size in blocks)

    def build(self, states: int | None, actions: int) -> Messages:
        """Build the kernels' parameters for a game of so many states (None: not countable) and actions."""
        sizes = self.sizes
        check_bytes(128 * sum(sizes), f"beliefs over {sum(sizes)} messages")
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        prior = self._prior(sizes)
        parts = [prior[first:last] for first, last in pairwise(offsets)]
        cumulative = np.concatenate([np.cumsum(part) for part in parts])
        cumulative[offsets[1:] - 1] = 1.0
        convention, likelihood = self._convention(states, actions)
        # At rate 1 the code may carry the full entropy of the message, so none is needed.
        encoder = couplings.NONE if self.rate >= 1 else couplings.ENCODERS[self.encoder]
        return Messages(
            offsets,
            prior,
            cumulative,
            np.array([self.rate * entropy(part) for part in parts]),
            encoder,
            convention,
            likelihood,
            float(self.message_priority),
            int(self.horizon),
            self.receiver == "player",
        )

    def _prior(self, sizes: tuple[int, ...]) -> np.ndarray:
        if self.prior is None:
            return np.concatenate([np.full(size, 1 / size) for size in sizes])
        blocks = [self.prior] if len(sizes) == 1 else self.prior
        try:
            parts = [np.array(part, np.float64) for part in blocks]
        except (TypeError, ValueError):
            raise EnvzooError("prior is not usable; expected probabilities, an array for each block") from None
        for part, size in zip(parts, sizes, strict=False):
            if part.shape != (size,) or not (part >= 0).all() or not abs(part.sum() - 1) < 1e-9:
                raise EnvzooError(f"prior is not usable; expected {size} probabilities that sum to 1 for each block")
        if len(parts) != len(sizes):
            raise EnvzooError(f"prior has {len(parts)} blocks; expected {len(sizes)}")
        return np.concatenate(parts)

    def _convention(self, states: int | None, actions: int) -> tuple[int, np.ndarray]:
        names = {"coupling": COUPLING, "none": SILENT}
        nothing = np.zeros((1, 1, 1))
        if isinstance(self.convention, str):
            if self.convention not in names:
                raise unknown("convention", self.convention, names)
            if self.convention == "none" and self.receiver == "bayes":
                raise EnvzooError(
                    "receiver 'bayes' needs a convention to update its belief; expected the convention 'coupling' or a "
                    "table of likelihoods, or the receiver 'player'"
                )
            return names[self.convention], nothing
        if states is None or len(self.sizes) > 1:
            raise EnvzooError("a table of likelihoods needs countable states and a single block of messages")
        expected = (states, self.sizes[0], actions)
        try:
            table = np.array(self.convention, np.float64)
        except (TypeError, ValueError):
            table = nothing
        if table.shape != expected or not (table >= 0).all() or not (np.abs(table.sum(axis=-1) - 1) < 1e-9).all():
            raise EnvzooError(
                f"convention is not usable; expected 'coupling', 'none', or probabilities of actions given state and "
                f"message of the shape {expected}"
            )
        return LIKELIHOOD, np.ascontiguousarray(table.swapaxes(1, 2))

    # ---------------------------------------------------------------- spaces and layouts

    @property
    def message_space(self) -> spaces.Space:
        """Return the space of messages and guesses: Discrete, or MultiDiscrete for several blocks."""
        return spaces.Discrete(self.sizes[0]) if len(self.sizes) == 1 else spaces.MultiDiscrete(self.sizes)

    def action_space(self, actions: int) -> spaces.Space:
        """Return the space of actions: the sender's move, joined with the guess if the receiver is a player."""
        return spaces.MultiDiscrete([actions, *self.sizes]) if self.receiver == "player" else spaces.Discrete(actions)

    def infos(self, actions: int) -> Infos:
        """Return the layout of the infos."""
        message = np.int64 if len(self.sizes) == 1 else (np.int64, (len(self.sizes),))
        return Infos(np.bool_, message, message, np.float64, np.float64, np.float64, (np.int8, (actions,)))

    def state(self) -> dict[str, Any]:
        """Return the layout of the state fields for messages."""
        blocks, total = len(self.sizes), sum(self.sizes)
        return {
            "message": (np.int64, (blocks,)),
            "guess": (np.int64, (blocks,)),
            "belief": (np.float64, (total,)),
            "over": np.bool_,
            "discounted_return": np.float64,
            "time": np.int64,
        }

    def limits(self) -> dict[str, tuple[Any, Any]]:
        """Return the limits of the state fields for messages."""
        last = np.array(self.sizes) - 1
        return {"message": (0, last), "guess": (0, last), "belief": (0, 1), "time": (0, int(self.horizon))}

    def running_limits(self) -> dict[str, tuple[Any, Any]]:
        """Return the limits for running episodes; with a playing receiver the guess may still be due at the horizon."""
        return {"time": (0, int(self.horizon) - (self.receiver == "bayes"))}

    def message_option(self, given: Mapping[str, Any], num_envs: int) -> np.ndarray:
        """Read the messages from the reset options, int64 (num_envs, B)."""
        blocks = len(self.sizes)
        if "message" not in given:
            return np.full((num_envs, blocks), NO_OPTION, np.int64)
        array = np.asarray(given["message"])
        shapes = [(), (num_envs,)] if blocks == 1 else [(blocks,), (num_envs, blocks)]
        if array.dtype.kind not in "iu" or array.shape not in shapes:
            what = "a whole number" if blocks == 1 else f"{blocks} whole numbers"
            raise EnvzooError(f"reset option message is {given['message']!r}; expected {what}, for all or each episode")
        array = np.broadcast_to(array[..., None] if blocks == 1 else array, (num_envs, blocks))
        outside = (array < 0) | (array >= np.array(self.sizes))
        if outside.any():
            episode, block = np.argwhere(outside)[0]
            raise EnvzooError(f"message {array[episode, block]} is out of range; expected 0 to {self.sizes[block] - 1}")
        return array.astype(np.int64)
