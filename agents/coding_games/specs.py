"""Registry rows of the agents for Markov coding games."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

AGENTS = (
    AgentSpec(
        "MECB",
        "envzoo.agents.coding_games.mecb:MECB",
        "coding_games",
        "Encodes messages in a policy's actions by minimum entropy coupling with a bottleneck.",
        sources=("environment", "game"),
        actions=("discrete",),
        observations="those of coding games",
        paper="05-mec-bottleneck",
        example=Example("envzoo/CodingGridSmall-v0", {"rate": 0.5}, timesteps=5),
    ),
    AgentSpec(
        "MEME",
        "envzoo.agents.coding_games.meme:MEME",
        "coding_games",
        "Encodes messages in a policy's actions by minimum entropy coupling without a bottleneck.",
        sources=("environment", "game"),
        actions=("discrete",),
        observations="those of coding games",
        paper="meme",
        example=Example("envzoo/CodingGridSmall-v0", {"receiver": "player"}, {"temperature": 0.05}, timesteps=5),
    ),
    AgentSpec(
        "FIMEC",
        "envzoo.agents.coding_games.fimec:FIMEC",
        "coding_games",
        "Encodes long messages of independent blocks by minimum entropy coupling of one block per step.",
        sources=("environment", "game"),
        actions=("discrete",),
        observations="those of coding games",
        paper="fimec",
        example=Example("envzoo/CodingGridSmall-v0", {"num_messages": [4, 4]}, timesteps=5),
    ),
    AgentSpec(
        "IndependentPPO",
        "envzoo.agents.coding_games.independent_ppo:IndependentPPO",
        "coding_games",
        "Baseline of MECB: independent PPO agents for sender and receiver, trained on the reward alone.",
        sources=("environment", "game"),
        actions=("discrete",),
        observations="those of coding games",
        paper="ppo",
        example=Example(
            "envzoo/CodingGridSmall-v0",
            {"receiver": "player"},
            {
                "hidden": (8,),
                "num_envs": 2,
                "num_steps": 6,
                "num_epochs": 2,
                "minibatch_size": 4,
                "listener_hidden": (6,),
            },
            timesteps=24,
            shown_kwargs={"receiver": "player"},
        ),
    ),
)
