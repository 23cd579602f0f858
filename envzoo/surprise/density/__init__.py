"""Density models of the observations of an episode so far, batched over episodes."""

from envzoo.surprise.density.base import Density
from envzoo.surprise.density.bernoulli import BernoulliDensity
from envzoo.surprise.density.categorical import CategoricalDensity
from envzoo.surprise.density.choice import DENSITIES, make_density
from envzoo.surprise.density.gaussian import GaussianDensity

__all__ = [
    "DENSITIES",
    "BernoulliDensity",
    "CategoricalDensity",
    "Density",
    "GaussianDensity",
    "make_density",
]
