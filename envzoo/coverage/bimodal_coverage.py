"""BimodalCoverage: cover the two high-value corners of a grid (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

import numpy as np

from envzoo.coverage.arguments import WalkArguments, with_shared_manual, with_walk_arguments
from envzoo.coverage.weighted_coverage import WeightedCoverage
from envzoo.kernel import KernelEnv, KernelVectorEnv


@with_shared_manual
class BimodalCoverage(WeightedCoverage):
    """Cover the two high-value corners of a grid within a fixed number of moves.

    ## Description
    Each cell has a weight, and the value of a path is the weight of the cells covered by the union of its discs,
    F(path): monotone and submodular. The weight of the cell at (x, y) is 1 / (1 + exp(-x y)), with x along the columns
    and y along the rows, both evenly spaced from -1 to 1: it is highest in the upper left and lower right corners and
    lowest in the other two. This is the bimodal coverage task of submodular reinforcement learning (Prajapat et al.,
    "Submodular Reinforcement Learning", ICLR 2024, arXiv 2307.13372).

    $moves_and_position
    `covered`, `MultiBinary([rows, columns])`, and `field`, `Box(0, 1, (rows, columns), float32)`, the weights.

    $episode
    $slips

    ## Registered ids
    - `envzoo/BimodalCoverage-v0`: the defaults above.
    - `envzoo/BimodalCoverage-Paper-v0`: the paper's setting: 30x30, 39 moves (40 states), start in cell 34,
      `disc="paper"`.
    """

    @with_walk_arguments()
    def __init__(
        self,
        walk: WalkArguments,
    ) -> None:
        self._lay_out(walk.rows, walk.columns, walk.horizon)
        y, x = np.linspace(-1.0, 1.0, self.rows), np.linspace(-1.0, 1.0, self.columns)
        self._set_up(
            walk,
            field=1.0 / (1.0 + np.exp(-np.outer(y, x).ravel())),
        )


class BimodalCoverageEnv(KernelEnv):
    """Single environment of `BimodalCoverage`."""

    definition_class = BimodalCoverage


class BimodalCoverageVectorEnv(KernelVectorEnv):
    """Vector environment of `BimodalCoverage`."""

    definition_class = BimodalCoverage
