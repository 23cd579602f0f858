"""Experiment on paper 21, preference degrees."""
