"""Network parts: observation and action codecs, encoders, heads; independent of loops and environments."""
