"""Markov coding games: hide a message in the actions of an agent that also performs a task."""
