"""Environments that reward coverage: set functions with diminishing returns."""
