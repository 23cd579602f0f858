"""Paper 19: soft actor-critic."""
