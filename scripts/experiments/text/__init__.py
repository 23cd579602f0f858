"""Common parts of the experiments with language models."""
