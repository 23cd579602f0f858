"""Bandits whose arms have a memory: an arm's payoff depends on when it was last pulled, or on how often in a row."""
