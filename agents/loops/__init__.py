"""Training loops, one class per kind of data (on-policy, off-policy, offline); algorithms implement `update`."""
