"""Reinforcement learning agents.

`make` creates an agent for a source, with the methods `learn`, `predict` and `save`; `load` restores a saved agent,
`register` adds an agent to the registry, `specs` lists all agents, and `pretrained` loads one that was trained before.
"""

from envzoo.agents.making import load, make
from envzoo.agents.registry import register, spec, specs
from envzoo.agents.trained import pretrained

__all__ = ["load", "make", "pretrained", "register", "spec", "specs"]
