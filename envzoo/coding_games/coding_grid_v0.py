"""Two-player version of `envzoo/CodingGrid-v0` for PettingZoo; see `CodingGrid` for the manual."""

from envzoo.coding_games.coding_grid import CodingGrid
from envzoo.coding_games.players import make_forms

__all__ = ["env", "parallel_env", "raw_env"]

parallel_env, raw_env, env = make_forms(CodingGrid, "coding_grid_v0")
