"""Paper 09: submodular reinforcement learning."""
