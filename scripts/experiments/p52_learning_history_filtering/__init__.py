"""Paper 52: filtering learning histories."""
