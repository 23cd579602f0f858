"""Biodiversity: survey the habitats of animals that live in clusters (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

from envzoo.coverage.fields import process_source
from envzoo.coverage.weighted_coverage import WeightedCoverage
from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel.arguments import check_number, check_whole


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
    - `field_seed` (None): fixes the field; None draws a new one for every episode, from the episode's random stream.
    - `patches` (4), `background` (0.05), `roughness` (0.4): see above.
    - `spacing` (0.3), `lengthscale` (1.0): distance between neighbouring cells, and lengthscale of g.
    - `stochasticity` (0.0): probability that a move is replaced by one of the five actions, drawn uniformly.

    ## Registered ids
    - `envzoo/Biodiversity-v0`: the defaults above.
    - `envzoo/Biodiversity-Paper-v0`: the paper's setting except for the data: 30x30, 39 moves (40 states), start in
    cell 34, `disc="paper"`, `spacing=0.1`, the same density in all episodes (`field_seed=0`).
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
        field_seed: int | None = None,
        patches: int = 4,
        background: float = 0.05,
        roughness: float = 0.4,
        spacing: float = 0.3,
        lengthscale: float = 1.0,
        stochasticity: float = 0.0,
    ) -> None:
        self._lay_out(rows, columns, horizon)
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
            start=start,
            disc=disc,
            radius=radius,
            coverage_mask=coverage_mask,
            stochasticity=stochasticity,
            field_visible=field_visible,
            source=source,
            field_seed=field_seed,
        )


class BiodiversityEnv(KernelEnv):
    """Single environment of `Biodiversity`."""

    definition_class = Biodiversity


class BiodiversityVectorEnv(KernelVectorEnv):
    """Vector environment of `Biodiversity`."""

    definition_class = Biodiversity
