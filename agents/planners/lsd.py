"""Planners for last-switch-dependent and recharging bandits: the public functions, gathered from their files."""

from envzoo.agents.planners.lsd_lp import LSDPlan, lsd_lp, rounding_guarantee

__all__ = ["LSDPlan", "lsd_lp", "rounding_guarantee"]
