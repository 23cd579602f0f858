"""MEME: minimum entropy coupling without a bottleneck (Sokota et al., ICML 2022, arXiv 2107.08295)."""

from __future__ import annotations

from envzoo.agents.coding_games.coupling_agent import CouplingAgent


class MEME(CouplingAgent):
    """Maximum-entropy policy with minimum entropy coupling: the whole belief is coupled with the carrier's actions.

    With the belief b over messages X and the carrier's action distribution pi(.|s) for Y, each step solves
    approximately

        min H(X, Y)  subject to  P_X = b,  P_Y = pi(.|s)

    by the greedy coupling, which is equivalent to maximising I(X; Y).

    The carrier of a finite game is the converged maximum-entropy policy without entropy in terminal states. The carrier
    of the released code of arXiv 2410.21666 differs in both; `official_carrier=True`, here or in the game, selects it
    (see the game's page for numbers). Source: Sokota et al. (ICML 2022, arXiv 2107.08295).

    Metrics:
        Those of the agent that is trained as carrier, if any; the coupling itself has no training.
    """
