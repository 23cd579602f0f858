"""Paper 49: design choices of model-based offline reinforcement learning."""
