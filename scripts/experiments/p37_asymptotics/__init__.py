"""Experiment on paper 37, Asymptotics of Language Model Alignment."""
