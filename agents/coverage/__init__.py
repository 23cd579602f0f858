"""Agents for submodular objectives: coverage, collection, information gain."""
