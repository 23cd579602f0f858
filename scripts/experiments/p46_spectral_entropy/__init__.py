"""Paper 46: diffusion spectral entropy."""
