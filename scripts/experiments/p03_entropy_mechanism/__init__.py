"""Paper 03: the entropy mechanism."""
