"""Agents that explore without reward, and those they are compared with."""
