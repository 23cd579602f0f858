"""Registry rows of the planners and learners for last-switch-dependent bandits."""

from __future__ import annotations

from functools import partial

from envzoo.specs import AgentSpec, Example

_planner = partial(
    AgentSpec, family="bandits", actions=("discrete", "binary"), observations="MultiDiscrete states of the arms"
)
_learner = partial(AgentSpec, family="bandits", observations="MultiDiscrete")
_EXAMPLE_1 = Example("envzoo/LSDBandit-v0", {"arms": 3, "satiation": 2, "deprivation": 4}, timesteps=5)
_EXAMPLE_2 = Example(
    "envzoo/LSDBandit-v0",
    {"arms": 3, "satiation": 2, "deprivation": 3, "max_episode_steps": 7},
    {"num_envs": 3, "rounds_per_iteration": 10},
    timesteps=90,
)

AGENTS = (
    _planner(
        "MirroredLP",
        "envzoo.agents.bandits.mirrored_lp:MirroredLP",
        summary="Planner for last-switch-dependent bandits: linear relaxation with mirrored rounding.",
        paper="30-lsd-bandits",
        example=_EXAMPLE_1,
    ),
    _planner(
        "LagrangianIndex",
        "envzoo.agents.bandits.lagrangian_index:LagrangianIndex",
        summary="Planner for last-switch-dependent bandits: index policy from the relaxation's Lagrange multiplier.",
        paper="30-lsd-bandits",
        example=Example("envzoo/LSDBandit-Laforgue-v0", hyperparameters={"planning_rounds": 50}, timesteps=5),
    ),
    _planner(
        "OracleGreedy",
        "envzoo.agents.bandits.oracle_greedy:OracleGreedy",
        summary="Baseline of MirroredLP: myopic policy with known payoffs.",
        paper="30-lsd-bandits",
        example=Example("envzoo/LSDBandit-Laforgue-v0", timesteps=5),
    ),
    _planner(
        "RechargingLP",
        "envzoo.agents.bandits.recharging_planner:RechargingLP",
        summary="Planner for recharging bandits: linear relaxation with interleaved rounding.",
        paper="recharging-bandits",
        example=Example("envzoo/RechargingBandit-v0", timesteps=5),
    ),
    _planner(
        "PeriodicPlanner",
        "envzoo.agents.bandits.periodic:PeriodicPlanner",
        summary="Planner for bandits with state-dependent payoffs: purely periodic, round-robin or best-arm schedules.",
        paper="recovering-rewards",
        example=_EXAMPLE_1,
    ),
    _learner(
        "LSDExploreCommit",
        "envzoo.agents.bandits.lsd_explore_commit:LSDExploreCommit",
        summary="Explore-then-commit learner for last-switch-dependent bandits.",
        actions=("discrete", "multibinary"),
        paper="30-lsd-bandits",
        example=Example(
            "envzoo/LSDBandit-v0",
            {"arms": 3, "satiation": 2, "deprivation": 3, "max_episode_steps": 7},
            {"num_envs": 3, "rounds_per_iteration": 10, "visits": 1},
            timesteps=90,
        ),
    ),
    _learner(
        "LSDUCB",
        "envzoo.agents.bandits.lsd_ucb:LSDUCB",
        summary="Optimistic (UCB) learner for last-switch-dependent bandits with monotone payoffs.",
        actions=("discrete", "multibinary"),
        paper="30-lsd-bandits",
        example=_EXAMPLE_2,
    ),
    _learner(
        "CombUCB1",
        "envzoo.agents.bandits.comb_ucb1:CombUCB1",
        summary="Baseline learner for last-switch-dependent bandits: blocks planned by upper confidence bounds.",
        actions=("discrete",),
        paper="lsd-analysis",
        example=_EXAMPLE_2,
    ),
    _learner(
        "ISICombUCB1",
        "envzoo.agents.bandits.isi_comb_ucb1:ISICombUCB1",
        summary="CombUCB1 with blocks whose value is independent of the initial states.",
        actions=("discrete",),
        paper="lsd-analysis",
        example=_EXAMPLE_2,
    ),
)
