"""Two-player version of `envzoo/CodingGridSmall-v0` for PettingZoo; see `CodingGridSmall` for the manual."""

from __future__ import annotations

from typing import Any

from pettingzoo import AECEnv

from envzoo.coding_games.coding_grid import CodingGridSmall
from envzoo.coding_games.players import CodingPlayers, in_turns, order_enforced

__all__ = ["env", "parallel_env", "raw_env"]


def parallel_env(**kwargs: Any) -> CodingPlayers:
    """Make the game with simultaneous actions; takes the arguments of `CodingGridSmall` and `render_mode`."""
    return CodingPlayers(CodingGridSmall, "coding_grid_small_v0", "envzoo/coding_grid_small_v0", **kwargs)


def raw_env(**kwargs: Any) -> AECEnv:
    """Make the game in which the players act in turn, the sender first."""
    return in_turns(parallel_env(**kwargs))


def env(**kwargs: Any) -> AECEnv:
    """Make the turn-based game with PettingZoo's checks of the call order."""
    return order_enforced(raw_env(**kwargs))
