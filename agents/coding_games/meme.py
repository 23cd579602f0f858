"""Messages hidden without a bottleneck: MEME (Sokota et al., ICML 2022, arXiv 2107.08295)."""

from __future__ import annotations

from envzoo.agents.coding_games.coupling_agent import CouplingAgent


class MEME(CouplingAgent):
    """Maximum-entropy policy and minimum entropy coupling: the whole belief is coupled with the carrier's actions.

    The carrier of a finite game has converged and earns no entropy after the end; that of the released code of arXiv
    2410.21666 differs in both. The game's page gives numbers, and `official_carrier=True`, there or here, takes the
    latter.
    """
