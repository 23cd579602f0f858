"""What experiments with language models share."""
