"""Paper 07: 8-bit optimizers."""
