"""Registry rows of the exploration agents."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

_EXAMPLE = Example(
    "envzoo/BlockChain-v0",
    {"rooms": 3, "max_episode_steps": 8},
    {"hidden": (8,), "num_envs": 2, "num_steps": 6, "num_epochs": 2},
    timesteps=12,
)

AGENTS = (
    AgentSpec(
        "SMiRL",
        "envzoo.agents.exploration.smirl:SMiRL",
        "exploration",
        "PPO that minimises surprise: rewards observations likely under a density of the episode so far.",
        paper="smirl",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "CountBased",
        "envzoo.agents.exploration.explorers:CountBased",
        "exploration",
        "PPO with count-based rewards for rarely visited observations.",
        paper="hash-counts",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "RND",
        "envzoo.agents.exploration.explorers:RND",
        "exploration",
        "PPO with random network distillation as intrinsic reward.",
        paper="rnd",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "ICM",
        "envzoo.agents.exploration.explorers:ICM",
        "exploration",
        "PPO with intrinsic curiosity: the prediction error of a forward model in learned features.",
        paper="icm",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "APT",
        "envzoo.agents.exploration.explorers:APT",
        "exploration",
        "PPO with a particle-based entropy reward: distances to nearest neighbours in learned features.",
        paper="apt",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "DIAYN",
        "envzoo.agents.exploration.explorers:DIAYN",
        "exploration",
        "PPO that learns diverse skills, rewarded by a skill discriminator.",
        paper="diayn",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "Disagreement",
        "envzoo.agents.exploration.explorers:Disagreement",
        "exploration",
        "PPO rewarded by the disagreement of an ensemble of forward models.",
        paper="disagreement",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "AGAC",
        "envzoo.agents.exploration.explorers:AGAC",
        "exploration",
        "PPO with a bonus for actions that an adversarial imitator does not predict.",
        paper="agac",
        example=_EXAMPLE,
    ),
)
