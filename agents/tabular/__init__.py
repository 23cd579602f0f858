"""Tabular agents: a table for each of many independent runs, learned side by side."""
