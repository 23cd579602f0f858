"""`envzoo/CodingCart-v0` for two players, in PettingZoo's form; its manual is that of `CodingCart`."""

from __future__ import annotations

from typing import Any

from pettingzoo import AECEnv

from envzoo.coding_games.coding_cart import CodingCart
from envzoo.coding_games.players import CodingPlayers, in_turns, order_enforced

__all__ = ["env", "parallel_env", "raw_env"]


def parallel_env(**kwargs: Any) -> CodingPlayers:
    """The game in which both players act at once; keywords of `CodingCart`, and `render_mode`."""
    return CodingPlayers(CodingCart, "coding_cart_v0", "envzoo/coding_cart_v0", **kwargs)


def raw_env(**kwargs: Any) -> AECEnv:
    """The game in which the players act in turn, the sender first."""
    return in_turns(parallel_env(**kwargs))


def env(**kwargs: Any) -> AECEnv:
    """The same, checked for calls out of order."""
    return order_enforced(raw_env(**kwargs))
