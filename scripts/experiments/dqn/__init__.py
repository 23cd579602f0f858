"""Experiment on DQN's defaults."""
