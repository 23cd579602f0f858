"""Small control problems with known optimal solutions."""
