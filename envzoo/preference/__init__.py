"""Environments whose feedback compares answers, or whose optimal trade-off of reward and KL divergence is known."""
