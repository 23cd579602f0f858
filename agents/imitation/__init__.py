"""Imitation learning agents."""
