"""Registered environments of the tabular family: finite worlds whose tables are known."""

from __future__ import annotations

from envzoo.specs import kernel

ENVIRONMENTS = (
    kernel(
        "envzoo/RandomMDP-v0",
        "envzoo.tabular.random_world_env:RandomMDP",
        "tabular",
        "a random finite world (Garnet) whose tables are known",
    ),
    kernel(
        "envzoo/BernoulliBandit-v0",
        "envzoo.tabular.bernoulli_bandit:BernoulliBandit",
        "tabular",
        "the multi-armed bandit: arms with coins of unknown bias",
    ),
)
