"""The table of agents that explore by intrinsic rewards."""

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
        "Paid for observations that are likely under the episode so far.",
        paper="smirl",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "CountBased",
        "envzoo.agents.exploration.explorers:CountBased",
        "exploration",
        "Paid for observations met seldom, in training or in the episode.",
        paper="hash-counts",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "RND",
        "envzoo.agents.exploration.explorers:RND",
        "exploration",
        "Paid for the errors of a network that learns to imitate a random one.",
        paper="rnd",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "ICM",
        "envzoo.agents.exploration.explorers:ICM",
        "exploration",
        "Paid for the errors of a forward model of learned features.",
        paper="icm",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "APT",
        "envzoo.agents.exploration.explorers:APT",
        "exploration",
        "Paid for distance from the nearest neighbours in learned features.",
        paper="apt",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "DIAYN",
        "envzoo.agents.exploration.explorers:DIAYN",
        "exploration",
        "Skills that a discriminator can tell apart.",
        paper="diayn",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "Disagreement",
        "envzoo.agents.exploration.explorers:Disagreement",
        "exploration",
        "Paid where an ensemble of forward models differs.",
        paper="disagreement",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "AGAC",
        "envzoo.agents.exploration.explorers:AGAC",
        "exploration",
        "Paid for actions that an imitating adversary does not foresee.",
        paper="agac",
        example=_EXAMPLE,
    ),
)
