"""Language models, and the kernels of the tiny model."""
