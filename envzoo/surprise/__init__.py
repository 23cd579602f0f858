"""Stochastic worlds for exploration without reward: rooms that are noisy until their noise is switched off."""
