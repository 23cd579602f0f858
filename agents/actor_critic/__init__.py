"""Actor-critics: PPO, SAC, and what they share."""
