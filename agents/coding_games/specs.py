"""Registry rows of the agents for Markov coding games."""

from __future__ import annotations

from functools import partial

from envzoo.specs import AgentSpec, Example

_player = partial(
    AgentSpec,
    family="coding_games",
    sources=("environment", "game"),
    actions=("discrete",),
    observations="those of coding games",
)

AGENTS = (
    _player(
        "MECB",
        "envzoo.agents.coding_games.mecb:MECB",
        summary="Encodes messages in a policy's actions by minimum entropy coupling with a bottleneck.",
        paper="05-mec-bottleneck",
        example=Example("envzoo/CodingGridSmall-v0", {"rate": 0.5}, timesteps=5),
    ),
    _player(
        "MEME",
        "envzoo.agents.coding_games.meme:MEME",
        summary="Encodes messages in a policy's actions by minimum entropy coupling without a bottleneck.",
        paper="meme",
        example=Example("envzoo/CodingGridSmall-v0", {"receiver": "player"}, {"temperature": 0.05}, timesteps=5),
    ),
    _player(
        "FIMEC",
        "envzoo.agents.coding_games.fimec:FIMEC",
        summary="Encodes long messages of independent blocks by minimum entropy coupling of one block per step.",
        paper="fimec",
        example=Example("envzoo/CodingGridSmall-v0", {"num_messages": [4, 4]}, timesteps=5),
    ),
    _player(
        "IndependentPPO",
        "envzoo.agents.coding_games.independent_ppo:IndependentPPO",
        summary="Baseline of MECB: independent PPO agents for sender and receiver, trained on the reward alone.",
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
