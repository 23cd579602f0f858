"""The table of agents for surprise and intrinsic motivation."""

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
        "AdversarialSurprise",
        "envzoo.agents.surprise.adversarial_surprise:AdversarialSurprise",
        "surprise",
        "Explore and Control take turns in one body: one seeks what surprises the other, who avoids it.",
        paper="15-adversarial-surprise",
        example=Example(
            "envzoo/BlockChain-v0",
            {"rooms": 3, "max_episode_steps": 8},
            {"hidden": (8,), "num_envs": 2, "rounds": 2, "minibatch_size": 8},
            timesteps=16,
        ),
    ),
    AgentSpec(
        "SMiRL",
        "envzoo.agents.surprise.smirl:SMiRL",
        "surprise",
        "Paid for observations that are likely under the episode so far.",
        paper="smirl",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "CountBased",
        "envzoo.agents.surprise.explorers:CountBased",
        "surprise",
        "Paid for observations met seldom, in training or in the episode.",
        paper="hash-counts",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "RND",
        "envzoo.agents.surprise.explorers:RND",
        "surprise",
        "Paid for the errors of a network that learns to imitate a random one.",
        paper="rnd",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "ICM",
        "envzoo.agents.surprise.explorers:ICM",
        "surprise",
        "Paid for the errors of a forward model of learned features.",
        paper="icm",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "APT",
        "envzoo.agents.surprise.explorers:APT",
        "surprise",
        "Paid for distance from the nearest neighbours in learned features.",
        paper="apt",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "DIAYN",
        "envzoo.agents.surprise.explorers:DIAYN",
        "surprise",
        "Skills that a discriminator can tell apart.",
        paper="diayn",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "Disagreement",
        "envzoo.agents.surprise.explorers:Disagreement",
        "surprise",
        "Paid where an ensemble of forward models differs.",
        paper="disagreement",
        example=_EXAMPLE,
    ),
    AgentSpec(
        "AGAC",
        "envzoo.agents.surprise.explorers:AGAC",
        "surprise",
        "Paid for actions that an imitating adversary does not foresee.",
        paper="agac",
        example=_EXAMPLE,
    ),
)
