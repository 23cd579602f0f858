"""Paper 28: Dichotomy of Control."""
