"""Paper 14: HAPO."""
