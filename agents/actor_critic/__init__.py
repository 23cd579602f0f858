"""Actor-critic agents: PPO, SAC and SACDiscrete."""
