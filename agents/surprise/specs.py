"""The table of agents of surprise in games of two players."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

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
)
