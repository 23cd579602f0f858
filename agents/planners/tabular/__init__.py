"""Planners that return exact answers for finite worlds."""
