"""Two-player version of `envzoo/CodingCart-v0` for PettingZoo; see `CodingCart` for the manual."""

from envzoo.coding_games.coding_cart import CodingCart
from envzoo.coding_games.players import make_forms

__all__ = ["env", "parallel_env", "raw_env"]

parallel_env, raw_env, env = make_forms(CodingCart, "coding_cart_v0")
