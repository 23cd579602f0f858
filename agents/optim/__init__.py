"""Optimizers by name."""

from envzoo.agents.optim.flat import FlatOptimizer, make_optimizer

__all__ = ["FlatOptimizer", "make_optimizer"]
