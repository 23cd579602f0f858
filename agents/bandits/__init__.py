"""Planners and learners of bandits whose payoffs depend on the last switch."""
