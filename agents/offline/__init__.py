"""Offline agents: they learn from a dataset, without playing."""
