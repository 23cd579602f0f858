"""Paper 23: BAPO."""
