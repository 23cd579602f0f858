"""Grids with a goal, a trap, obstacles and slippery moves, as finite decision processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from envzoo.coding_games.mdp import FiniteMDP
from envzoo.errors import EnvzooError

Cell = tuple[int, int]

UP, RIGHT, DOWN, LEFT = range(4)
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # (rows, columns) of the four actions
ARROWS = "^>v<"


@dataclass(frozen=True)
class GridLayout:
    """Layout of a grid; cells are pairs (row, column) counted from the upper left.

    Attributes:
        rows: Number of rows.
        columns: Number of columns.
        rewards: Reward for entering a cell, for cells with nonzero reward.
        ends: Cells that end the episode.
        obstacles: Cells that cannot be entered.
        start: Start cell.
    """

    rows: int
    columns: int
    rewards: Mapping[Cell, float]
    ends: tuple[Cell, ...]
    obstacles: tuple[Cell, ...]
    start: Cell

    def index(self, cell: Cell) -> int:
        """Return the state of a cell: row * columns + column."""
        return cell[0] * self.columns + cell[1]

    def inside(self, cell: Cell) -> bool:
        """Return whether an agent can be on a cell."""
        return 0 <= cell[0] < self.rows and 0 <= cell[1] < self.columns and cell not in self.obstacles


# Grid of arXiv 2410.21666: goal and trap in the right column, a diagonal of obstacles below the upper left corner.
NOISY_GRID = GridLayout(8, 8, {(0, 7): 1.0, (1, 7): -1.0}, ((0, 7), (1, 7)), tuple((k, k) for k in range(1, 8)), (5, 4))
# Grid of arXiv 2107.08295: from one corner to the opposite one.
SMALL_GRID = GridLayout(4, 4, {(3, 3): 1.0}, ((3, 3),), (), (0, 0))


def grid_mdp(layout: GridLayout, noise: float = 0.0, discount: float = 0.95, walls_available: bool = True) -> FiniteMDP:
    """Build the decision process of a grid: state row * columns + column; actions 0 up, 1 right, 2 down, 3 left.

    Args:
        layout: The layout of the grid.
        noise: Probability of each of the two moves perpendicular to the intended one. A move into a wall or an obstacle
            leaves the agent in place.
        discount: Discount factor of the process.
        walls_available: Whether actions towards a wall or an obstacle are available.

    Raises:
        EnvzooError: The noise is outside [0, 0.5], or the start is not a free cell.
    """
    if isinstance(noise, bool) or not isinstance(noise, int | float | np.number) or not 0 <= noise <= 0.5:
        raise EnvzooError(f"noise is {noise!r}; expected a probability from 0 to 0.5 of slipping to each side")
    if not layout.inside(layout.start) or layout.start in layout.ends:
        raise EnvzooError(f"start is {layout.start}; expected a free cell on which the episode does not end")
    states = layout.rows * layout.columns
    transition, reward = np.zeros((states, 4, states)), np.zeros(states)
    available = np.ones((states, 4), bool)
    for state in range(states):
        cell = divmod(state, layout.columns)
        reached = [layout.index(there) if there else state for there in _neighbours(layout, cell)]
        for action in range(4):
            available[state, action] = walls_available or reached[action] != state
            for turn, probability in ((0, 1 - 2 * noise), (1, noise), (3, noise)):
                transition[state, action, reached[(action + turn) % 4]] += probability
    for cell, value in layout.rewards.items():
        reward[layout.index(cell)] = value
    terminal = np.zeros(states, bool)
    terminal[[layout.index(cell) for cell in layout.ends]] = True
    closed = [layout.index(cell) for cell in layout.obstacles]
    available[closed] = True  # these states are never visited
    return FiniteMDP(transition, reward, terminal, layout.index(layout.start), discount, available)


def _neighbours(layout: GridLayout, cell: Cell) -> Iterable[Cell | None]:
    """Return the cells that the four moves lead to, None for a wall or an obstacle."""
    for rows, columns in STEPS:
        there = (cell[0] + rows, cell[1] + columns)
        yield there if layout.inside(there) else None
