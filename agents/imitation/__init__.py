"""Agents that imitate demonstrations."""
