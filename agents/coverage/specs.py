"""Registry rows of the agents for submodular objectives."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

_EXAMPLE_1 = Example(
    "envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 5, "start": "random"}, {"num_envs": 3}, timesteps=15
)
_EXAMPLE_2 = Example(
    "envzoo/GridCoverage-v0",
    {"rows": 3, "columns": 4, "horizon": 5, "start": "random"},
    {"hidden": (8,), "num_envs": 2, "num_steps": 6},
    timesteps=12,
)

AGENTS = (
    AgentSpec(
        "SubPO",
        "envzoo.agents.coverage.subpo:SubPO",
        "coverage",
        "Policy gradient (REINFORCE) on the marginal gains of a submodular objective.",
        actions=("discrete",),
        paper="09-submodular",
        example=_EXAMPLE_1,
    ),
    AgentSpec(
        "ModPO",
        "envzoo.agents.coverage.modpo:ModPO",
        "coverage",
        "Modular baseline of SubPO: the same gradient on additive rewards, which count repeated visits.",
        actions=("discrete",),
        paper="09-submodular",
        example=_EXAMPLE_1,
    ),
    AgentSpec(
        "SubPOActorCritic",
        "envzoo.agents.coverage.subpo_actor_critic:SubPOActorCritic",
        "coverage",
        "SubPO with a critic and generalised advantage estimation, for continuous control.",
        paper="09-submodular",
        example=_EXAMPLE_2,
    ),
    AgentSpec(
        "ModPOActorCritic",
        "envzoo.agents.coverage.subpo_actor_critic:ModPOActorCritic",
        "coverage",
        "Modular baseline of SubPOActorCritic: the same update on additive rewards, which count repeated visits.",
        paper="09-submodular",
        example=_EXAMPLE_2,
    ),
    AgentSpec(
        "GreedyMarginal",
        "envzoo.agents.coverage.greedy_marginal:GreedyMarginal",
        "coverage",
        "Greedy one-step lookahead that takes the action of largest immediate reward.",
        actions=("discrete",),
        paper="09-submodular",
        example=Example(
            "envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 5, "start": "random"}, timesteps=5
        ),
    ),
)
