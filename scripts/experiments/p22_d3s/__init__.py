"""Paper 22: D3S."""
