"""The one table of envzoo's games for several players, in PettingZoo's form."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from envzoo.errors import unknown


@dataclass(frozen=True)
class GameSpec:
    """One game.

    Attributes:
        id: `envzoo/name_vN`; name_vN is its module, which has `parallel_env`, `env` and `raw_env`.
        family: The folder under `envzoo/` in which the module lies.
        summary: One line for lists.
        paper: Number of the paper it comes from ("05"), or None.
    """

    id: str
    family: str
    summary: str
    paper: str | None = None

    @property
    def module(self) -> str:
        """Full name of the game's module."""
        return f"envzoo.{self.family}.{self.id.removeprefix('envzoo/')}"


_GAMES = (
    GameSpec("envzoo/coding_grid_v0", "coding_games", "tell a message by a walk on a slippery 8x8 grid", "05"),
    GameSpec("envzoo/coding_grid_small_v0", "coding_games", "tell a message by a walk across a 4x4 grid", "05"),
    GameSpec("envzoo/coding_cart_v0", "coding_games", "tell a message by the pushes that balance a pole", "05"),
)


def games() -> dict[str, GameSpec]:
    """All games by id, in the order of the table."""
    return {game.id: game for game in _GAMES}


def make_game(game_id: str, **kwargs: Any) -> Any:
    """A registered game as a `pettingzoo.ParallelEnv`.

    Args:
        game_id: Id in the table.
        **kwargs: Keywords of its `parallel_env`.

    Raises:
        UnknownNameError: There is no such game, or it has no such keyword.
        EnvzooError: A value that is not usable.
    """
    if not isinstance(game_id, str) or game_id not in games():
        raise unknown("game", game_id, games())
    return import_module(games()[game_id].module).parallel_env(**kwargs)
