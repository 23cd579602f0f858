"""The table of agents that every other one is compared with."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

AGENTS = (
    AgentSpec(
        "Random",
        "envzoo.agents.baselines.random:Random",
        "baselines",
        "Uniformly random actions: the reference that every agent must beat.",
        sources=("environment", "game"),
        actions=("any",),
        observations="any",
        example=Example(
            "envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 5, "start": "random"}, timesteps=5
        ),
    ),
)
