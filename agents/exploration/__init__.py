"""Intrinsic rewards, and the agents that learn from them."""
