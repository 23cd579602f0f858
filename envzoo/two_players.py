"""Form of a world for two players: who acts when, what each player observes, and who wins what.

A game or a wrapper with exactly two players has an attribute `two_player` that holds its `TwoPlayerForm`. Learners and
planners for two players read it in place of tests for one family. Coding games (sender and receiver act at once and
are paid alike) and adversarial surprise (two players take turns in one body, and one's gain is the other's loss) have
it; so may a robust world, whose second player chooses the disturbance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.kernel.arguments import check_choice


@dataclass(frozen=True)
class TwoPlayerForm:
    """Description of a game for two players.

    Attributes:
        players: Names of the players. The first one moves first, and is number 0.
        zero_sum: Whether the rewards of both add up to 0 in every step.
        turn_key: Key of the infos that holds the number of the player who acts next; None where both act in each step.
        sees: Keys of the Dict observation that each player sees, by player; None where both see all of it.

    Raises:
        EnvzooError: Not two different names, or keys of other players.
    """

    players: tuple[str, str]
    zero_sum: bool
    turn_key: str | None = None
    sees: Mapping[str, tuple[str, ...]] | None = None

    def __post_init__(self) -> None:
        if len(self.players) != 2 or len(set(self.players)) != 2:
            raise EnvzooError(f"players are {self.players!r}; expected two different names")
        if self.sees is not None and set(self.sees) != set(self.players):
            raise EnvzooError(f"sees names the players {sorted(self.sees)}; expected {sorted(self.players)}")

    @property
    def simultaneous(self) -> bool:
        """Whether both players act in each step."""
        return self.turn_key is None

    def other(self, player: str) -> str:
        """Return the other player; raises UnknownNameError for any other name."""
        return self.players[1 - self.players.index(check_choice("player", player, self.players))]

    def acting(self, infos: Mapping[str, Any], num_envs: int = 1) -> np.ndarray:
        """Return whose actions count in the next step, bool (num_envs, 2).

        Args:
            infos: Those of the latest reset or step.
            num_envs: Number of episodes.

        Raises:
            EnvzooError: The infos do not say whose turn it is.
        """
        if self.turn_key is None:
            return np.ones((num_envs, 2), bool)
        if self.turn_key not in infos:
            raise EnvzooError(f"infos do not say whose turn it is; expected the key {self.turn_key!r}")
        turn = np.broadcast_to(np.asarray(infos[self.turn_key]), (num_envs,))
        return turn[:, None] == np.arange(2)

    def observation_of(self, player: str, observation: Any) -> Any:
        """Return the part of an observation (or a batch of them) that a player sees.

        Raises:
            UnknownNameError: A name that is none of the two.
            UnsupportedSpaceError: An observation without the keys that the player sees.
        """
        check_choice("player", player, self.players)
        if self.sees is None:
            return observation
        keys = self.sees[player]
        if not isinstance(observation, Mapping) or not set(keys) <= set(observation):
            raise UnsupportedSpaceError(f"{player} sees {', '.join(keys)}; expected a Dict observation with these keys")
        return {key: observation[key] for key in keys}


@runtime_checkable
class TwoPlayer(Protocol):
    """A world for two players."""

    two_player: TwoPlayerForm


def find_form(world: Any) -> TwoPlayerForm:
    """Return the form of a world for two players, wrapped or not.

    Raises:
        UnsupportedSpaceError: It has none.
    """
    inner = world
    while inner is not None:
        form = getattr(inner, "two_player", None)
        if isinstance(form, TwoPlayerForm):
            return form
        inner = getattr(inner, "env", None)
    raise UnsupportedSpaceError(f"{world} is no world for two players; expected one with the attribute two_player")
