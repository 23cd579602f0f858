"""Games for several players, in PettingZoo's parallel form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envzoo.agents.sources.base import Source
from envzoo.games import make_game


def is_game(source: Any) -> bool:
    """Return whether an object is a PettingZoo game."""
    return hasattr(source, "possible_agents") and hasattr(source, "observation_space") and hasattr(source, "reset")


def from_game(source: Any) -> Source:
    """Resolve a game; its spaces are dicts by player."""
    players = list(source.possible_agents)
    observation_spaces = {player: source.observation_space(player) for player in players}
    action_spaces = {player: source.action_space(player) for player in players}
    game_id = getattr(source, "game_id", None)
    kwargs = dict(source.parameters) if game_id else {}
    return Source("game", str(source), game_id, observation_spaces, action_spaces, kwargs, source)


def from_game_id(name: str, env_kwargs: dict[str, Any]) -> Source:
    """Resolve the id of a game."""
    found = from_game(make_game(name, **env_kwargs))
    return replace(found, name=name, id=name, env_kwargs=env_kwargs, given=None)
