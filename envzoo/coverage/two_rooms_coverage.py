"""TwoRoomsCoverage: cover two rooms connected by a corridor (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

import numpy as np

from envzoo.coverage.arguments import WalkArguments, with_walk_arguments
from envzoo.coverage.weighted_coverage import WeightedCoverage
from envzoo.kernel import KernelEnv, KernelVectorEnv

ROWS, COLUMNS = 7, 14
ROOM_COLUMNS = 4  # the rooms are the first and the last four columns
CORRIDOR_ROWS = (2, 3)


class TwoRoomsCoverage(WeightedCoverage):
    """Cover two rooms connected by a corridor, within a fixed number of moves.

    ## Description
    The grid has 7 rows and 14 columns. The first four and the last four columns are rooms; rows 2 and 3 of the columns
    between them are the corridor, and everything else is wall. The value of a path is the number of open cells covered
    by the union of its discs, F(path): monotone and submodular. The start is in the corridor, so the policy must
    remember which room it has already covered. This is the two-rooms task of submodular reinforcement learning
    (Prajapat et al., "Submodular Reinforcement Learning", ICLR 2024, arXiv 2307.13372).

    ## Action space
    `Discrete(5)`: 0 stay, 1 right, 2 down, 3 left, 4 up. A move off the grid or into a wall leaves the agent in place.

    ## Observation space
    `MultiDiscrete([98, horizon + 1])`: the cell (row * 14 + column) and the number of moves so far.
    With `coverage_mask=True` a `Dict` of `position` (that pair) and `covered`, `MultiBinary([7, 14])`.

    ## Reward
    The number of open cells newly covered. The disc of the start gives no reward, so the return is F(path) -
    F({start}).

    ## Info
    After every reset and step: `coverage`, F of the path so far, including the start's disc; `modular_reward`, the
    size of the new cell's disc, whether or not covered before (0 after a reset), the additive reward of the ModPO
    baseline.

    ## Start of an episode
    Set by `start` or `reset(options={"start": ...})`, which also accepts an array with one cell per episode. "random"
    chooses among the open cells; a wall is refused.

    ## End of an episode
    Terminates after `horizon` moves; the horizon is part of the problem, not an external time limit.

    ## Arguments
    - `horizon` (39): number of moves.
    - `start` ((2, 6)): "corner" (cell 0), "centre", "random" (uniform), a cell index, or a pair (row, column).
    - `disc` ("square"), `radius` (1): the cells that a cell covers: "square" is the square of half-width `radius`
      around it, "paper" and "paper_large" are the 2x2 and 3x3 blocks with the cell in their upper left corner. Discs
      do not cover walls.
    - `coverage_mask` (False): whether the observation includes the covered cells.
    - `stochasticity` (0.0): probability that a move is replaced by one of the five actions, drawn uniformly.

    ## Registered ids
    - `envzoo/TwoRoomsCoverage-v0`: the defaults above.
    - `envzoo/TwoRoomsCoverage-Paper-v0`: `disc="paper"`, the disc of the paper's released code.
    """

    @with_walk_arguments("rows", "columns", "field_visible", horizon=39, start=(2, 6))
    def __init__(self, walk: WalkArguments) -> None:
        is_open = np.zeros((ROWS, COLUMNS), np.bool_)
        is_open[:, :ROOM_COLUMNS] = is_open[:, -ROOM_COLUMNS:] = True
        is_open[CORRIDOR_ROWS, :] = True
        self._lay_out(ROWS, COLUMNS, walk.horizon, walls=~is_open.ravel())
        self._set_up(
            walk,
            field=is_open.ravel().astype(np.float64),
        )


class TwoRoomsCoverageEnv(KernelEnv):
    """Single environment of `TwoRoomsCoverage`."""

    definition_class = TwoRoomsCoverage


class TwoRoomsCoverageVectorEnv(KernelVectorEnv):
    """Vector environment of `TwoRoomsCoverage`."""

    definition_class = TwoRoomsCoverage
