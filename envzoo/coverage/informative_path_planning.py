"""InformativePathPlanning: cover the high-value regions of a smooth random field (submodular RL, paper 09)."""

from __future__ import annotations

from envzoo.coverage.arguments import WalkArguments, with_shared_manual, with_walk_arguments
from envzoo.coverage.fields import process_source
from envzoo.coverage.weighted_coverage import WeightedCoverage
from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel.arguments import check_number


@with_shared_manual
class InformativePathPlanning(WeightedCoverage):
    """Cover the high-value regions of a smooth random field within a fixed number of moves.

    ## Description
    Each cell has a weight, and the value of a path is the weight of the cells covered by the union of its discs,
    F(path): monotone and submodular. The weights are drawn from a Gaussian process with mean `mean`, unit variance,
    Matern covariance with smoothness 5/2, and independent noise of variance `noise`; they are clipped to [0, 2 *
    `mean`], because F would otherwise not always be monotone. An agent that does not observe the field learns about it
    through its rewards. This is the informative path planning task, coverage of a Gaussian process, of submodular
    reinforcement learning (Prajapat et al., "Submodular Reinforcement Learning", ICLR 2024, arXiv 2307.13372).

    $moves_and_position
    `covered`, `MultiBinary([rows, columns])`, and `field`, `Box(0, 2 * mean, (rows, columns), float32)`, the weights.

    $episode
    $field_seed
    - `spacing` (0.3), `lengthscale` (1.0): distance between neighbouring cells, and lengthscale of the process.
    - `mean` (3.0), `noise` (0.001): mean and variance of the noise of the field.
    $slips

    ## Registered ids
    - `envzoo/InformativePathPlanning-v0`: the defaults above.
    - `envzoo/InformativePathPlanning-Paper-v0`: the paper's setting: 30x30, 39 moves (40 states), start in cell 34,
    `disc="paper"`, `spacing=0.1`, the same field in all episodes (`field_seed=0`).
    """

    @with_walk_arguments()
    def __init__(
        self,
        walk: WalkArguments,
        field_seed: int | None = None,
        spacing: float = 0.3,
        lengthscale: float = 1.0,
        mean: float = 3.0,
        noise: float = 1e-3,
    ) -> None:
        self._lay_out(walk.rows, walk.columns, walk.horizon)
        source = process_source(
            self.rows,
            self.columns,
            check_number("spacing", spacing, 0, above=True),
            check_number("lengthscale", lengthscale, 0, above=True),
            check_number("noise", noise, 0),
            mean=check_number("mean", mean, 0, above=True),
        )
        self._set_up(
            walk,
            source=source,
            field_seed=field_seed,
            most=2 * source.mean,
        )


class InformativePathPlanningEnv(KernelEnv):
    """Single environment of `InformativePathPlanning`."""

    definition_class = InformativePathPlanning


class InformativePathPlanningVectorEnv(KernelVectorEnv):
    """Vector environment of `InformativePathPlanning`."""

    definition_class = InformativePathPlanning
