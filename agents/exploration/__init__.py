"""Intrinsic rewards, and agents that are trained with them."""
