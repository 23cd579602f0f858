"""The table of agents for agents that every family is compared with."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

AGENTS = (
    AgentSpec(
        "Random",
        "envzoo.agents.standard.random:Random",
        "standard",
        "Uniformly random actions: the reference that every agent must beat.",
        sources=("environment", "game"),
        actions=("any",),
        observations="any",
        example=Example(
            "envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 5, "start": "random"}, timesteps=5
        ),
    ),
    AgentSpec(
        "PPO",
        "envzoo.agents.standard.ppo:PPO",
        "standard",
        "Proximal policy optimisation with the clipped objective and generalised advantages.",
        paper="ppo",
        example=Example(
            "envzoo/GridCoverage-v0",
            {"rows": 3, "columns": 4, "horizon": 5, "start": "random"},
            {"hidden": (8,), "num_envs": 2, "num_steps": 6, "num_epochs": 2, "minibatch_size": 4},
            timesteps=12,
        ),
    ),
    AgentSpec(
        "BC",
        "envzoo.agents.standard.bc:BC",
        "standard",
        "Behavioural cloning: imitate the actions of a dataset.",
        sources=("dataset",),
        paper="behavioural-cloning",
        example=Example(
            "envzoo/grid-coverage/random-v0", hyperparameters={"hidden": (8,), "batch_size": 8}, timesteps=12
        ),
    ),
)
