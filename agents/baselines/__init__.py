"""Agents that every other one is compared with."""
