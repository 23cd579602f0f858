"""Paper 40: arbitrary entropy policy optimization."""
