"""The table of games for several players, in PettingZoo's form; collected from the `specs` modules of the families."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from envzoo.discovery import Registry
from envzoo.specs import GameSpec

__all__ = ["GameSpec", "games", "make_game", "own_games", "register"]

_GAMES: Registry[GameSpec] = Registry("game", GameSpec, "GAMES", "id", ["envzoo"], "list them with `envzoo list envs`")


def games() -> Mapping[str, GameSpec]:
    """Return all games by id."""
    return _GAMES.rows()


def own_games() -> Mapping[str, GameSpec]:
    """Return the games of envzoo itself, without those of plug-ins."""
    return _GAMES.own()


def register(row: GameSpec) -> None:
    """Add a game to the table; raises EnvzooError when the id is taken."""
    _GAMES.add(row)


def make_game(game_id: str, **kwargs: Any) -> Any:
    """Create a registered game as a `pettingzoo.ParallelEnv`.

    Args:
        game_id: Id in the table.
        **kwargs: Keywords of its `parallel_env`.

    Raises:
        UnknownNameError: There is no such game, or it has no such keyword.
        EnvzooError: A value that is not usable.
    """
    return import_module(_GAMES.get(game_id).module).parallel_env(**kwargs)
