"""Paper 50: horizon-free and variance-dependent learning of latent MDPs."""
