"""Reinforcement learning of language models: trainer, sampling, models, losses."""
