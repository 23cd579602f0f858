"""Paper 34: S4D."""
