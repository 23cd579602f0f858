"""Agents: `make` one for a source, `learn`, `predict`, `save`, `load`; `register` your own; `specs` lists them all."""

from envzoo.agents.making import load, make
from envzoo.agents.registry import register, spec, specs

__all__ = ["load", "make", "register", "spec", "specs"]
