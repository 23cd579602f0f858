"""Paper 31: the policy cliff."""
