"""Benchmarks: each measures envzoo against its peers in one run."""
