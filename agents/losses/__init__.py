"""Losses, advantages and distributions as pure functions of tensors and arrays, independent of loops and networks."""
