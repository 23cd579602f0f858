"""SlipLake: a frozen lake whose slipperiness is a parameter (28)."""

from __future__ import annotations

import numpy as np

from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_choice, check_number
from envzoo.offline.finite_world import FiniteWorld, ModelOfWorld, State

MAPS = {
    "4x4": ("SFFF", "FHFH", "FFFH", "HFFG"),
    "8x8": (
        "SFFFFFFF",
        "FFFFFFFF",
        "FFFHFFFF",
        "FFFFFHFF",
        "FFFHFFFF",
        "FHHFFFHF",
        "FHFFHFHF",
        "FFFHFFFG",
    ),
}
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # left, down, right, up: (row, column)


class SlipLake(FiniteWorld):
    """A frozen lake on which a step slips sideways with a probability that you choose.

    ## Description
    Gymnasium's FrozenLake with its two maps, and the probability of slipping as an argument: at 2/3 it is Gymnasium's
    slippery lake, at 0 it is deterministic. The more it slips, the more a successful episode owes to luck. Designed for
    agents that condition on the return (Yang et al., arXiv 2210.13435).

    ## Action space
    `Discrete(4)`: 0 left, 1 down, 2 right, 3 up.

    ## Observation space
    `Discrete(16)`, or 64 on the larger map: the cell, row by row.

    ## Dynamics
    With probability 1 - `slip` the step goes where it should, and with probability `slip` / 2 each to either side.
    Steps off the map stay.

    ## Reward
    1 for the step onto the goal, otherwise 0.

    ## Start of an episode
    In the upper left corner, or at `reset(options={"start": cell})`.

    ## End of an episode
    Terminates at the goal and in holes. The registered ids truncate after 50 steps. `env.unwrapped.model()` is the
    exact model.

    ## Arguments
    - `slip` (0.6): probability of slipping.
    - `map` ("4x4"): "4x4" or "8x8", those of Gymnasium.

    ## Registered ids
    - `envzoo/SlipLake-v0`: the defaults above.
    - `envzoo/SlipLake-8x8-v0`: `map="8x8"`.
    """

    def __init__(self, slip: float = 0.6, map: str = "4x4") -> None:
        self.rows = MAPS[check_choice("map", map, MAPS)]
        slip = check_number("slip", slip, 0, 1)
        side = len(self.rows)
        tiles = "".join(self.rows)
        shape = (side * side, 4, 3)
        following, rewards, ends = np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape, bool)
        probabilities = np.broadcast_to([1 - slip, slip / 2, slip / 2], shape)
        for cell in range(side * side):
            for action in range(4):
                for k, turn in enumerate((0, 1, -1)):
                    down, right = MOVES[(action + turn) % 4]
                    row = min(max(cell // side + down, 0), side - 1)
                    column = min(max(cell % side + right, 0), side - 1)
                    target = row * side + column
                    following[cell, action, k] = target
                    rewards[cell, action, k] = tiles[target] == "G"
                    ends[cell, action, k] = tiles[target] in "GH"
        first = np.array([tile == "S" for tile in tiles], np.float64)
        self.set_up(probabilities, following, rewards, ends, gamma=1.0, first=first)

    def draw(self, state: State) -> np.ndarray:
        """Draw the map with the player."""
        side, size = len(self.rows), 240 // len(self.rows)
        canvas = art.Canvas(side * size, side * size)
        colours = {"S": art.PALE_BLUE, "F": art.PALE_BLUE, "H": art.BLUE, "G": art.GREEN}
        for row, tiles in enumerate(self.rows):
            for column, tile in enumerate(tiles):
                x, y = column * size, row * size
                canvas.rectangle(x + 1, y + 1, x + size - 1, y + size - 1, colours[tile])
        row, column = divmod(int(state.cell), side)
        canvas.disc((column + 0.5) * size, (row + 0.5) * size, 0.3 * size, art.ORANGE)
        return canvas.image()


class SlipLakeEnv(ModelOfWorld, KernelEnv):
    """Single environment of `SlipLake`."""

    definition_class = SlipLake


class SlipLakeVectorEnv(ModelOfWorld, KernelVectorEnv):
    """Vector environment of `SlipLake`."""

    definition_class = SlipLake
