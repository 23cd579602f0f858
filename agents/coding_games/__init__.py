"""Agents for Markov coding games: minimum entropy coupling agents and learned baselines."""
