"""Selection of density models by name."""

from __future__ import annotations

from gymnasium import spaces

from envzoo.errors import UnsupportedSpaceError
from envzoo.kernel.arguments import check_choice
from envzoo.surprise.density.base import Density, leaves, whole_range
from envzoo.surprise.density.bernoulli import BernoulliDensity
from envzoo.surprise.density.categorical import CategoricalDensity
from envzoo.surprise.density.gaussian import GaussianDensity

DENSITIES: dict[str, type[Density]] = {cls.name: cls for cls in (CategoricalDensity, BernoulliDensity, GaussianDensity)}
FEW = 64  # components with at most this many values are modelled as categorical


def make_density(name: str, space: spaces.Space, num_envs: int) -> Density:
    """Make the density model called `name` for B episodes of an observation space.

    Args:
        name: "categorical", "bernoulli", "gaussian", or "auto": categorical if every component has at most 64 values,
            otherwise Gaussian.
        space: Observation space of one episode.
        num_envs: B.

    Raises:
        UnknownNameError: The model is unknown.
        UnsupportedSpaceError: The model, or with "auto" every model, does not support the space.
    """
    if isinstance(name, str) and name == "auto":
        parts = leaves(space)
        for path, part in parts:
            if whole_range(part) is None and not isinstance(part, spaces.Box):
                raise UnsupportedSpaceError(
                    f"no density model fits {'.'.join(path) or 'the observation'}, which is a {type(part).__name__} "
                    "space; expected Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these"
                )
        ranges = [whole_range(part) for _, part in parts]
        few = all(found is not None and (found[1] <= FEW).all() for found in ranges)
        name = "categorical" if few else "gaussian"
    check_choice("density", name, [*DENSITIES, "auto"])
    return DENSITIES[name](space, num_envs)
