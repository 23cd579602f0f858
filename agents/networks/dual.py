"""Deprecated module: see `envzoo.agents.networks.lagrange` and `envzoo.agents.networks.target_network`."""

from envzoo.renamed import renamed

__getattr__ = renamed(
    __name__,
    {
        "DualVariable": "envzoo.agents.networks.lagrange:DualVariable",
        "PolyakTarget": "envzoo.agents.networks.target_network:PolyakTarget",
    },
)
