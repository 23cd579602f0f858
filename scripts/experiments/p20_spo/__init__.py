"""Experiment on paper 20, self-play preference optimisation."""
