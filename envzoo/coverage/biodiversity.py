"""Biodiversity: survey the habitats of animals that live in clusters (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

from envzoo.coverage.arguments import WalkArguments, with_shared_manual, with_walk_arguments
from envzoo.coverage.fields import process_source
from envzoo.coverage.weighted_coverage import WeightedCoverage
from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel.arguments import check_number, check_whole


@with_shared_manual
class Biodiversity(WeightedCoverage):
    """Survey the habitats of animals that live in clusters, within a fixed number of moves.

    ## Description
    Each cell has a density of animals, and the value of a path is the density covered by the union of its discs,
    F(path): monotone and submodular. The paper's task (Prajapat et al., "Submodular Reinforcement Learning", ICLR
    2024, arXiv 2307.13372) uses the density of gorilla nests in a reserve from separately published data, which are not
    part of envzoo. Here the density is synthetic, similar to a log-Gaussian Cox process: (`background` + the sum of
    `patches` bumps) * exp(`roughness` * g), divided by its maximum. A bump has a uniform centre, a height uniform on
    [0.5, 1] and a width (standard deviation) uniform on [0.06, 0.14] times the longer side of the grid; g is a Gaussian
    process with unit variance and Matern covariance with smoothness 5/2.

    $moves_and_position
    `covered`, `MultiBinary([rows, columns])`, and `field`, `Box(0, 1, (rows, columns), float32)`, the weights.

    $episode
    $field_seed
    - `patches` (4), `background` (0.05), `roughness` (0.4): see above.
    - `spacing` (0.3), `lengthscale` (1.0): distance between neighbouring cells, and lengthscale of g.
    $slips

    ## Registered ids
    - `envzoo/Biodiversity-v0`: the defaults above.
    - `envzoo/Biodiversity-Paper-v0`: the paper's setting except for the data: 30x30, 39 moves (40 states), start in
    cell 34, `disc="paper"`, `spacing=0.1`, the same density in all episodes (`field_seed=0`).
    """

    @with_walk_arguments()
    def __init__(
        self,
        walk: WalkArguments,
        field_seed: int | None = None,
        patches: int = 4,
        background: float = 0.05,
        roughness: float = 0.4,
        spacing: float = 0.3,
        lengthscale: float = 1.0,
    ) -> None:
        self._lay_out(walk.rows, walk.columns, walk.horizon)
        source = process_source(
            self.rows,
            self.columns,
            check_number("spacing", spacing, 0, above=True),
            check_number("lengthscale", lengthscale, 0, above=True),
            noise=0.0,
            patches=check_whole("patches", patches, 1),
            background=check_number("background", background, 0, above=True),
            roughness=check_number("roughness", roughness, 0),
            heights=(0.5, 1.0),
            widths=(0.06 * max(self.rows, self.columns), 0.14 * max(self.rows, self.columns)),
        )
        self._set_up(
            walk,
            source=source,
            field_seed=field_seed,
        )


class BiodiversityEnv(KernelEnv):
    """Single environment of `Biodiversity`."""

    definition_class = Biodiversity


class BiodiversityVectorEnv(KernelVectorEnv):
    """Vector environment of `Biodiversity`."""

    definition_class = Biodiversity
