"""Registry rows of the agents for surprise-based exploration games."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

AGENTS = (
    AgentSpec(
        "AdversarialSurprise",
        "envzoo.agents.surprise.adversarial_surprise:AdversarialSurprise",
        "surprise",
        "Two-player exploration: Explore maximises and Control minimises the surprise of Control's observations.",
        paper="15-adversarial-surprise",
        example=Example(
            "envzoo/BlockChain-v0",
            {"rooms": 3, "max_episode_steps": 8},
            {"hidden": (8,), "num_envs": 2, "rounds": 2, "minibatch_size": 8},
            timesteps=16,
        ),
    ),
)
