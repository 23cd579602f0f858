"""Deprecated module: see `envzoo.agents.networks.lagrange` and `envzoo.agents.networks.target_network`."""

from envzoo.moved import former_names

__getattr__ = former_names(
    __name__,
    {
        "DualVariable": "envzoo.agents.networks.lagrange",
        "PolyakTarget": "envzoo.agents.networks.target_network",
    },
)
