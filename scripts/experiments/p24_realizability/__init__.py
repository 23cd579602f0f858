"""Paper 24: when realizability is sufficient for off-policy evaluation."""
