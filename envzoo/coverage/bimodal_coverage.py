"""BimodalCoverage: cover the two high-value corners of a grid (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

import numpy as np

from envzoo.coverage.weighted_coverage import WeightedCoverage
from envzoo.kernel import KernelEnv, KernelVectorEnv


class BimodalCoverage(WeightedCoverage):
    """Cover the two high-value corners of a grid within a fixed number of moves.

    ## Description
    Each cell has a weight, and the value of a path is the weight of the cells covered by the union of its discs,
    F(path): monotone and submodular. The weight of the cell at (x, y) is 1 / (1 + exp(-x y)), with x along the columns
    and y along the rows, both evenly spaced from -1 to 1: it is highest in the upper left and lower right corners and
    lowest in the other two. This is the bimodal coverage task of submodular reinforcement learning (Prajapat et al.,
    "Submodular Reinforcement Learning", ICLR 2024, arXiv 2307.13372).

    ## Action space
    `Discrete(5)`: 0 stay, 1 right, 2 down, 3 left, 4 up. A move off the grid leaves the agent in place.

    ## Observation space
    `MultiDiscrete([rows * columns, horizon + 1])`: the cell (row * columns + column) and the number of moves so far.
    With `coverage_mask=True` or `field_visible=True` a `Dict` of `position` (that pair) and the requested entries:
    `covered`, `MultiBinary([rows, columns])`, and `field`, `Box(0, 1, (rows, columns), float32)`, the weights.

    ## Reward
    The weight newly covered. The disc of the start gives no reward, so the return is F(path) - F({start}).

    ## Info
    After every reset and step: `coverage`, F of the path so far, including the start's disc; `modular_reward`, the
    weight of the new cell's disc, whether or not covered before (0 after a reset), the additive reward of the ModPO
    baseline.

    ## Start of an episode
    Set by `start` or `reset(options={"start": ...})`, which also accepts an array with one cell per episode.

    ## End of an episode
    Terminates after `horizon` moves; the horizon is part of the problem, not an external time limit.

    ## Arguments
    - `rows`, `columns` (10, 10): size of the grid.
    - `horizon` (20): number of moves.
    - `start` ("corner"): "corner" (cell 0), "centre", "random" (uniform), a cell index, or a pair (row, column).
    - `disc` ("square"), `radius` (1): what a cell covers: "square" is the square of half-width `radius` around it,
      "paper" and "paper_large" are the 2x2 and 3x3 blocks with the cell in their upper left corner.
    - `coverage_mask` (False): whether the observation includes the covered cells.
    - `field_visible` (False): whether the observation includes the weights.
    - `stochasticity` (0.0): probability that a move is replaced by one of the five actions, drawn uniformly.

    ## Registered ids
    - `envzoo/BimodalCoverage-v0`: the defaults above.
    - `envzoo/BimodalCoverage-Paper-v0`: the paper's setting: 30x30, 39 moves (40 states), start in cell 34,
      `disc="paper"`.
    """

    def __init__(
        self,
        rows: int = 10,
        columns: int = 10,
        radius: int | None = None,
        horizon: int = 20,
        start: str | int | tuple[int, int] = "corner",
        disc: str = "square",
        coverage_mask: bool = False,
        field_visible: bool = False,
        stochasticity: float = 0.0,
    ) -> None:
        self._lay_out(rows, columns, horizon)
        y, x = np.linspace(-1.0, 1.0, self.rows), np.linspace(-1.0, 1.0, self.columns)
        self._set_up(
            start=start,
            disc=disc,
            radius=radius,
            coverage_mask=coverage_mask,
            stochasticity=stochasticity,
            field_visible=field_visible,
            field=1.0 / (1.0 + np.exp(-np.outer(y, x).ravel())),
        )


class BimodalCoverageEnv(KernelEnv):
    """Single environment of `BimodalCoverage`."""

    definition_class = BimodalCoverage


class BimodalCoverageVectorEnv(KernelVectorEnv):
    """Vector environment of `BimodalCoverage`."""

    definition_class = BimodalCoverage
