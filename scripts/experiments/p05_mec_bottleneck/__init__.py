"""Paper 05: minimum entropy coupling with a bottleneck."""
