"""Agents that every study compares with."""
