"""Public functions for planning in last-switch-dependent and recharging bandits, re-exported from their modules."""

from envzoo.agents.bandits.lsd_exact import ExactPlan, relative_value_iteration
from envzoo.agents.bandits.lsd_index import index_policy, lagrangian_index
from envzoo.agents.bandits.lsd_lp import LSDPlan, lsd_lp, rounding_guarantee
from envzoo.agents.bandits.lsd_periodic import (
    Cycle,
    PeriodicPlan,
    best_cycles,
    purely_periodic,
    round_robin,
    schedule_value,
)
from envzoo.agents.bandits.lsd_rounding import Rollout, mirrored_rounding, oracle_greedy
from envzoo.agents.bandits.recharging import RechargingPlan, interleaved_rounding, recharging_lp

__all__ = [
    "Cycle",
    "ExactPlan",
    "LSDPlan",
    "PeriodicPlan",
    "RechargingPlan",
    "Rollout",
    "best_cycles",
    "index_policy",
    "interleaved_rounding",
    "lagrangian_index",
    "lsd_lp",
    "mirrored_rounding",
    "oracle_greedy",
    "purely_periodic",
    "recharging_lp",
    "relative_value_iteration",
    "round_robin",
    "rounding_guarantee",
    "schedule_value",
]
