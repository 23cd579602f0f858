"""The table of agents of submodular coverage."""

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
        "Policy gradient on marginal gains of a submodular objective.",
        actions=("discrete",),
        paper="09-submodular",
        example=_EXAMPLE_1,
    ),
    AgentSpec(
        "ModPO",
        "envzoo.agents.coverage.modpo:ModPO",
        "coverage",
        "Baseline of SubPO: the same gradient with additive rewards that count repeats.",
        actions=("discrete",),
        paper="09-submodular",
        example=_EXAMPLE_1,
    ),
    AgentSpec(
        "SubPOActorCritic",
        "envzoo.agents.coverage.subpo_actor_critic:SubPOActorCritic",
        "coverage",
        "SubPO with a critic and generalised advantages, for continuous control.",
        paper="09-submodular",
        example=_EXAMPLE_2,
    ),
    AgentSpec(
        "ModPOActorCritic",
        "envzoo.agents.coverage.subpo_actor_critic:ModPOActorCritic",
        "coverage",
        "Baseline of SubPOActorCritic: the same agent with additive rewards that count repeats.",
        paper="09-submodular",
        example=_EXAMPLE_2,
    ),
    AgentSpec(
        "GreedyMarginal",
        "envzoo.agents.coverage.greedy_marginal:GreedyMarginal",
        "coverage",
        "Planner that tries every action, takes it back, and keeps the one with the largest reward.",
        actions=("discrete",),
        paper="09-submodular",
        example=Example(
            "envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 5, "start": "random"}, timesteps=5
        ),
    ),
)
