"""Planners: compiled functions on arrays, without networks."""
