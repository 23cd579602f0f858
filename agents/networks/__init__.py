"""Network parts: observation and action codecs, encoders, heads. They know nothing of loops or environments."""
