"""Registry rows of the baseline agents."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

AGENTS = (
    AgentSpec(
        "Random",
        "envzoo.agents.baselines.random:Random",
        "baselines",
        "Uniformly random actions, the baseline for all agents.",
        sources=("environment", "game"),
        actions=("any",),
        observations="any",
        example=Example(
            "envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 5, "start": "random"}, timesteps=5
        ),
    ),
)
