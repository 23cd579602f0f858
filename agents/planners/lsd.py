"""Planners for last-switch-dependent and recharging bandits: the public functions, gathered from their files."""

from envzoo.agents.planners.lsd_lp import LSDPlan, lsd_lp, rounding_guarantee
from envzoo.agents.planners.lsd_rounding import Rollout, mirrored_rounding, oracle_greedy

__all__ = ["LSDPlan", "Rollout", "lsd_lp", "mirrored_rounding", "oracle_greedy", "rounding_guarantee"]
