"""Registry rows of the planners and learners for last-switch-dependent bandits."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

_EXAMPLE_1 = Example("envzoo/LSDBandit-v0", {"arms": 3, "satiation": 2, "deprivation": 4}, timesteps=5)
_EXAMPLE_2 = Example(
    "envzoo/LSDBandit-v0",
    {"arms": 3, "satiation": 2, "deprivation": 3, "max_episode_steps": 7},
    {"num_envs": 3, "rounds_per_iteration": 10},
    timesteps=90,
)

AGENTS = (
    AgentSpec(
        "MirroredLP",
        "envzoo.agents.bandits.mirrored_lp:MirroredLP",
        "bandits",
        "Planner for last-switch-dependent bandits: linear relaxation with mirrored rounding.",
        actions=("discrete", "binary"),
        observations="MultiDiscrete states of the arms",
        paper="30-lsd-bandits",
        example=_EXAMPLE_1,
    ),
    AgentSpec(
        "LagrangianIndex",
        "envzoo.agents.bandits.lagrangian_index:LagrangianIndex",
        "bandits",
        "Planner for last-switch-dependent bandits: index policy from the relaxation's Lagrange multiplier.",
        actions=("discrete", "binary"),
        observations="MultiDiscrete states of the arms",
        paper="30-lsd-bandits",
        example=Example("envzoo/LSDBandit-Laforgue-v0", hyperparameters={"planning_rounds": 50}, timesteps=5),
    ),
    AgentSpec(
        "OracleGreedy",
        "envzoo.agents.bandits.oracle_greedy:OracleGreedy",
        "bandits",
        "Baseline of MirroredLP: myopic policy with known payoffs.",
        actions=("discrete", "binary"),
        observations="MultiDiscrete states of the arms",
        paper="30-lsd-bandits",
        example=Example("envzoo/LSDBandit-Laforgue-v0", timesteps=5),
    ),
    AgentSpec(
        "RechargingLP",
        "envzoo.agents.bandits.recharging_planner:RechargingLP",
        "bandits",
        "Planner for recharging bandits: linear relaxation with interleaved rounding.",
        actions=("discrete", "binary"),
        observations="MultiDiscrete states of the arms",
        paper="recharging-bandits",
        example=Example("envzoo/RechargingBandit-v0", timesteps=5),
    ),
    AgentSpec(
        "PeriodicPlanner",
        "envzoo.agents.bandits.periodic:PeriodicPlanner",
        "bandits",
        "Planner for bandits with state-dependent payoffs: purely periodic, round-robin or best-arm schedules.",
        actions=("discrete", "binary"),
        observations="MultiDiscrete states of the arms",
        paper="recovering-rewards",
        example=_EXAMPLE_1,
    ),
    AgentSpec(
        "LSDExploreCommit",
        "envzoo.agents.bandits.lsd_explore_commit:LSDExploreCommit",
        "bandits",
        "Explore-then-commit learner for last-switch-dependent bandits.",
        actions=("discrete", "multibinary"),
        observations="MultiDiscrete",
        paper="30-lsd-bandits",
        example=Example(
            "envzoo/LSDBandit-v0",
            {"arms": 3, "satiation": 2, "deprivation": 3, "max_episode_steps": 7},
            {"num_envs": 3, "rounds_per_iteration": 10, "visits": 1},
            timesteps=90,
        ),
    ),
    AgentSpec(
        "LSDUCB",
        "envzoo.agents.bandits.lsd_ucb:LSDUCB",
        "bandits",
        "Optimistic (UCB) learner for last-switch-dependent bandits with monotone payoffs.",
        actions=("discrete", "multibinary"),
        observations="MultiDiscrete",
        paper="30-lsd-bandits",
        example=_EXAMPLE_2,
    ),
    AgentSpec(
        "CombUCB1",
        "envzoo.agents.bandits.comb_ucb1:CombUCB1",
        "bandits",
        "Baseline learner for last-switch-dependent bandits: blocks planned by upper confidence bounds.",
        actions=("discrete",),
        observations="MultiDiscrete",
        paper="lsd-analysis",
        example=_EXAMPLE_2,
    ),
    AgentSpec(
        "ISICombUCB1",
        "envzoo.agents.bandits.isi_comb_ucb1:ISICombUCB1",
        "bandits",
        "CombUCB1 with blocks whose value is independent of the initial states.",
        actions=("discrete",),
        observations="MultiDiscrete",
        paper="lsd-analysis",
        example=_EXAMPLE_2,
    ),
)
