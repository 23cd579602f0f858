"""Agents for surprise-based exploration games."""
