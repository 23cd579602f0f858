"""Registered environments of the coding games family: messages hidden in the actions of a policy."""

from __future__ import annotations

from envzoo.specs import GameSpec, kernel

_HERE = "envzoo.coding_games"
_CODING = "envzoo.coding_games.coding_grid:CodingGrid"

ENVIRONMENTS = (
    kernel(
        "envzoo/CodingGrid-v0",
        _CODING,
        "coding_games",
        "hide a message in a walk on a slippery 8x8 grid",
        paper="05-mec-bottleneck",
    ),
    kernel(
        "envzoo/CodingGridSmall-v0",
        f"{_CODING}Small",
        "coding_games",
        "hide a message in a walk between opposite corners of a 4x4 grid",
        paper="05-mec-bottleneck",
    ),
    kernel(
        "envzoo/CodingCart-v0",
        "envzoo.coding_games.coding_cart:CodingCart",
        "coding_games",
        "hide a message in the pushes that balance a pole",
        paper="05-mec-bottleneck",
    ),
)
GAMES = (
    GameSpec(
        "envzoo/coding_grid_v0",
        f"{_HERE}.coding_grid_v0",
        "coding_games",
        "send a message through a walk on a slippery 8x8 grid",
        "05-mec-bottleneck",
    ),
    GameSpec(
        "envzoo/coding_grid_small_v0",
        f"{_HERE}.coding_grid_small_v0",
        "coding_games",
        "send a message through a walk across a 4x4 grid",
        "05-mec-bottleneck",
    ),
    GameSpec(
        "envzoo/coding_cart_v0",
        f"{_HERE}.coding_cart_v0",
        "coding_games",
        "send a message through the pushes that balance a pole",
        "05-mec-bottleneck",
    ),
)
