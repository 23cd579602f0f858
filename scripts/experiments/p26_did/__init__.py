"""Experiment on paper 26, differential information distributions."""
