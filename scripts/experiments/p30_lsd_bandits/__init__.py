"""Paper 30: last-switch-dependent bandits."""
