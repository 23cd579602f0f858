"""MECB: minimum entropy coupling with a bottleneck (Ebrahimi et al., NeurIPS 2024, arXiv 2410.21666)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envzoo.agents.coding_games.coupling_agent import CouplingAgent, CouplingConfig
from envzoo.agents.spec import require
from envzoo.coding_games.coupling_kernels import ENCODERS


@dataclass(frozen=True)
class MECBConfig(CouplingConfig):
    """Hyperparameters of MECB."""

    encoder: Literal["ebim", "quantizer", "none"] | None = None
    """Encoder of messages at rates below 1: "ebim" (greedy entropy-bounded information maximisation), "quantizer"
    (blocks of neighbouring messages) or "none"; None for the game's encoder."""
    rate: float | None = None
    """Maximum entropy of the code per step, as a fraction of the prior's entropy; 1 or more disables the code. None for
    the game's rate."""

    def __post_init__(self):
        super().__post_init__()
        require(self.rate is None or self.rate >= 0, f"rate of MECB is not negative, got {self.rate}")


class MECB(CouplingAgent):
    """Minimum entropy coupling with a bottleneck, at each step of a coding game.

    With the belief b over messages X and the carrier's action distribution pi(.|s) for Y, each step solves
    approximately

        max I(X; Y)  subject to  X -> T -> Y,  H(T) <= R,  P_X = b,  P_Y = pi(.|s)

    in two parts: an encoder X -> T of bounded entropy (EBIM, the paper's algorithm 1, or the uniform quantiser,
    algorithm 5), and the greedy minimum entropy coupling of T and Y. The bound R is constant over the episode, `rate`
    times the prior's entropy. When the belief's entropy falls below it, EBIM codes the message itself, while the
    quantiser still codes its block.

    The carrier of a finite game is the converged maximum-entropy policy without entropy in terminal states. The carrier
    of the paper's released code differs in both; `official_carrier=True`, here or in the game, selects it (see the
    game's page for numbers). Source: Ebrahimi et al. (NeurIPS 2024, arXiv 2410.21666).

    Metrics:
        Those of the agent that is trained as carrier, if any; the coupling itself has no training.
    """

    Config = MECBConfig
    config: MECBConfig

    def code(self) -> tuple[int, float]:
        """Return the encoder and the rate, taken from the game where the config has None."""
        rules, c = self.definition.rules, self.config
        encoder = rules.encoder if c.encoder is None else c.encoder
        return ENCODERS[encoder], float(rules.rate if c.rate is None else c.rate)
