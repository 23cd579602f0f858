"""Small control problems with known answers."""
