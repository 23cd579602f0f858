"""Agents: `make` one for a source, `learn`, `predict`, `save`, `load`; `specs` lists them all."""

from envzoo.agents.registry import load, make, spec, specs

__all__ = ["load", "make", "spec", "specs"]
