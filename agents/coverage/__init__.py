"""Agents for submodular objectives: SubPO and its baselines."""
