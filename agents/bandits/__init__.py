"""Planners and learners for last-switch-dependent and recharging bandits."""
