"""Maximum-entropy agents."""
