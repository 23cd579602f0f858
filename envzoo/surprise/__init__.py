"""Stochastic worlds to explore without reward: rooms that are noisy until their noise is switched off."""
