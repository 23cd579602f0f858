"""The comparison of entropy methods."""
