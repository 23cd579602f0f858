"""Paper 17: token dynamics."""
