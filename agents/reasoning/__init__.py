"""Policy optimisation of language models on verifiable puzzles: one trainer, a method per name."""
