"""The sweep of the strengths of entropy methods."""
