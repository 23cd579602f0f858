"""Registry rows of the imitation agents."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

AGENTS = (
    AgentSpec(
        "BC",
        "envzoo.agents.imitation.bc:BC",
        "imitation",
        "Behavioural cloning: supervised learning of the actions of a dataset.",
        sources=("dataset",),
        paper="behavioural-cloning",
        example=Example(
            "envzoo/grid-coverage/random-v0", hyperparameters={"hidden": (8,), "batch_size": 8}, timesteps=12
        ),
    ),
)
