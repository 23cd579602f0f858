"""Agents that learn from preferences, and functions that compute what they converge to."""
