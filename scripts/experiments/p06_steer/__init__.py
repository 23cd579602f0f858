"""Paper 06: STEER."""
