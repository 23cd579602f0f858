"""Bandits with memory: the payoff of an arm depends on the time since its last pull, or on its consecutive pulls."""
