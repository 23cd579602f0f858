"""Worlds for offline learning and off-policy evaluation, with exact models where the state space is finite."""
