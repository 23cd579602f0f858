"""Messages hidden through a bottleneck (Ebrahimi et al., NeurIPS 2024, arXiv 2410.21666)."""

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
    """How messages are coded at rates below 1: by greedy entropy-bounded information maximisation, by blocks of
    neighbouring messages, or not at all; None takes the game's."""
    rate: float | None = None
    """What share of the prior's entropy the code of a step may carry; from 1 on there is no code. None: the game's."""

    def __post_init__(self):
        super().__post_init__()
        require(self.rate is None or self.rate >= 0, f"rate of MECB is not negative, got {self.rate}")


class MECB(CouplingAgent):
    """Minimum entropy coupling with a bottleneck in every step of a coding game.

    The belief over messages goes through a code of bounded entropy, and the code is coupled with the carrier's actions.
    The bound is fixed for the whole episode, a share of the prior's entropy; once the belief has less, the code is the
    message itself (EBIM), or still the block of the message (quantiser).

    The carrier of a finite game has converged and earns no entropy after the end; that of the paper's released code
    differs in both. The game's page gives numbers, and `official_carrier=True`, there or here, takes the latter.
    """

    Config = MECBConfig
    config: MECBConfig

    def code(self) -> tuple[int, float]:
        """The encoder and the rate, from the game where the config leaves them open."""
        rules, c = self.definition.rules, self.config
        encoder = rules.encoder if c.encoder is None else c.encoder
        return ENCODERS[encoder], float(rules.rate if c.rate is None else c.rate)
