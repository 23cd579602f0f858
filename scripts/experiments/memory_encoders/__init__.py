"""Encoders with a memory compared on corridors of growing length."""
