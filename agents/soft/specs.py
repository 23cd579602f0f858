"""The table of agents for maximum-entropy actor-critics."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

AGENTS = (
    AgentSpec(
        "SAC",
        "envzoo.agents.soft.sac:SAC",
        "soft",
        "Soft actor-critic with a learned temperature, for continuous actions.",
        actions=("continuous",),
        paper="19-sac",
        example=Example(
            "envzoo/EntropyBanditContinuous-v0",
            hyperparameters={"hidden": (8,), "num_envs": 2, "batch_size": 4, "learning_starts": 4},
            timesteps=12,
        ),
    ),
    AgentSpec(
        "SACDiscrete",
        "envzoo.agents.soft.sac_discrete:SACDiscrete",
        "soft",
        "Soft actor-critic for discrete actions, expectations over actions taken exactly.",
        actions=("discrete",),
        paper="sac-discrete",
        example=Example(
            "envzoo/GridCoverage-v0",
            {"rows": 3, "columns": 4, "horizon": 5, "start": "random"},
            {"hidden": (8,), "num_envs": 2, "batch_size": 4, "learning_starts": 4},
            timesteps=12,
        ),
    ),
)
