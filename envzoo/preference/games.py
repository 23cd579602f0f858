"""Matrix games of preferences: checks and generators."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number, check_whole, read_array

ROUNDING = 1e-9


def read_game(values: Any) -> np.ndarray:
    """Return an antisymmetric matrix (K, K) of preferences in [-1, 1] as float64.

    Raises:
        EnvzooError: It is something else; the sentence names the first pair of arms that contradict each other.
    """
    game = read_array("the game", values)
    if game.ndim != 2 or game.shape[0] != game.shape[1] or game.shape[0] < 2 or game.dtype.kind not in "iuf":
        raise EnvzooError(f"the game is {game.dtype} of shape {game.shape}; expected a square matrix of preferences")
    game = game.astype(np.float64)
    if not np.isfinite(game).all() or np.abs(game).max() > 1 + ROUNDING:
        raise EnvzooError("the game holds preferences outside [-1, 1]; expected 2 * (probability of winning) - 1")
    off = np.argwhere(np.abs(game + game.T) > ROUNDING)
    if len(off):
        i, j = map(int, off[0])
        raise EnvzooError(
            f"the game is not antisymmetric: arm {i} is preferred to arm {j} by {game[i, j]:g}, and arm {j} to arm {i} "
            f"by {game[j, i]:g}; expected opposite numbers"
        )
    return game


def cyclic_game(a: float = 0.6, b: float = 0.2, c: float = 0.4) -> np.ndarray:
    """Make a game of three arms with P[0, 1] = a, P[1, 2] = b and P[2, 0] = c, all positive and at most 1.

    Its only minimax winner is (b, c, a) / (a + b + c).
    """
    a, b, c = (check_number(name, value, 0.0, 1.0, above=True) for name, value in zip("abc", (a, b, c), strict=True))
    return np.array([[0.0, a, -c], [-a, 0.0, b], [c, -b, 0.0]])


def random_game(arms: int = 10, seed: int = 0) -> np.ndarray:
    """Make a game whose preferences P[i, j], i < j, are uniform on [-1, 1]."""
    arms = check_whole("arms", arms, 2, 10_000)
    upper = np.triu(np.random.default_rng(check_whole("seed", seed, 0, None)).uniform(-1, 1, (arms, arms)), 1)
    return upper - upper.T
