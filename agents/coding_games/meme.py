"""Messages hidden without a bottleneck: MEME (Sokota et al., ICML 2022, arXiv 2107.08295)."""

from __future__ import annotations

from envzoo.agents.coding_games.coupling_agent import CouplingAgent


class MEME(CouplingAgent):
    """Maximum-entropy policy and minimum entropy coupling: the whole belief is coupled with the carrier's actions."""
