"""Reinforcement learning agents.

`make` creates an agent for a source, with the methods `learn`, `predict` and `save`; `load` restores a saved agent,
`register` adds an agent to the registry, and `specs` lists all agents.
"""

from envzoo.agents.making import load, make
from envzoo.agents.registry import register, spec, specs

__all__ = ["load", "make", "register", "spec", "specs"]
