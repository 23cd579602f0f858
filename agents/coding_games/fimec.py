"""FIMEC: factored coupling of messages with many independent blocks (Sokota et al., 2024, arXiv 2405.19540)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from envzoo.agents.coding_games.coupling_agent import CouplingAgent, CouplingConfig
from envzoo.agents.spec import require
from envzoo.errors import EnvzooError


@dataclass(frozen=True)
class FIMECConfig(CouplingConfig):
    """Hyperparameters of FIMEC."""

    blocks: tuple[int, ...] = ()
    """Sizes of the blocks into which the message number is split, the last one varying fastest; their product is the
    number of messages, and the prior must be uniform. () for the blocks of the game's messages."""

    def __post_init__(self):
        super().__post_init__()
        require(all(size >= 2 for size in self.blocks), f"blocks of FIMEC have sizes of at least 2, got {self.blocks}")


class FIMEC(CouplingAgent):
    """Factored iterative minimum entropy coupling: each step encodes the block with the most uncertain belief.

    The belief factorises over blocks, b(x) = prod_i b_i(x_i). Each step selects i* = argmax_i H(b_i) and solves
    approximately

        min H(X_{i*}, Y)  subject to  P_{X_{i*}} = b_{i*},  P_Y = pi(.|s)

    with the carrier's action distribution pi(.|s) for Y. The belief has the sum of the block sizes as its length
    instead of their product: 2^40 messages are four blocks of 1024. Source: Sokota et al. (2024, arXiv 2405.19540).

    Metrics:
        Those of the agent that is trained as carrier, if any; the coupling itself has no training.
    """

    Config = FIMECConfig
    config: FIMECConfig

    def blocks(self) -> tuple[tuple[int, ...], np.ndarray]:
        """Return the sizes of the blocks, and their concatenated priors."""
        sizes, prior, split = self.definition.rules.sizes, self.messages.prior, self.config.blocks
        if not split:
            return sizes, prior
        if len(sizes) > 1:
            raise EnvzooError(f"the messages of {self.source.name} already have blocks; do not set blocks of FIMEC")
        if math.prod(split) != sizes[0]:
            raise EnvzooError(
                f"blocks {split} of FIMEC make {math.prod(split)} messages, but {self.source.name} has {sizes[0]}"
            )
        if not np.allclose(prior, 1 / sizes[0], rtol=1e-9, atol=0):
            raise EnvzooError("blocks of FIMEC require a uniform prior; do not set blocks of FIMEC")
        return split, np.concatenate([np.full(size, 1 / size) for size in split])

    def digits(self, message: np.ndarray) -> np.ndarray:
        """Convert messages to values of the blocks, (B, blocks)."""
        if not self.config.blocks:
            return super().digits(message)
        if (message < 0).any() or (message >= math.prod(self.sizes)).any():
            raise EnvzooError(f"a message is out of range; expected 0 to {math.prod(self.sizes) - 1}")
        return np.stack(np.unravel_index(message, self.sizes), axis=1)

    def number(self, digits: np.ndarray) -> np.ndarray:
        """Convert values of the blocks to the game's messages, (B, 1) or (B, blocks)."""
        if not self.config.blocks:
            return digits
        return np.ravel_multi_index(tuple(digits.T), self.sizes)[:, None]
