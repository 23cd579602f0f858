"""Paper 36: agnostic reinforcement learning."""
