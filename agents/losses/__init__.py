"""Pure functions of tensors and arrays: distributions, advantages, losses. They know nothing of loops or networks."""
