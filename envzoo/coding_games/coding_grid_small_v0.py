"""Two-player version of `envzoo/CodingGridSmall-v0` for PettingZoo; see `CodingGridSmall` for the manual."""

from envzoo.coding_games.coding_grid import CodingGridSmall
from envzoo.coding_games.players import make_forms

__all__ = ["env", "parallel_env", "raw_env"]

parallel_env, raw_env, env = make_forms(CodingGridSmall, "coding_grid_small_v0")
