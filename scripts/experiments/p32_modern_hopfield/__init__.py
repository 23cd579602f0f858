"""Paper 32: modern Hopfield networks."""
