"""Measures of representations; see `envzoo.agents.callbacks.RepresentationProbe` for a log of them during training."""

from envzoo.agents.diagnostics.spectral_entropy import dse, dsmi, median_distance
from envzoo.agents.diagnostics.units import dormant_share, effective_rank

__all__ = ["dormant_share", "dse", "dsmi", "effective_rank", "median_distance"]
