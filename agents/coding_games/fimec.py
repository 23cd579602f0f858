"""Messages of many independent blocks: FIMEC (Sokota et al., 2024, arXiv 2405.19540)."""

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
    """Sizes of the blocks into which the number of a message is split, the last one counting fastest; their product is
    the number of messages, and the prior must be uniform. () takes the blocks that the game's messages have."""

    def __post_init__(self):
        super().__post_init__()
        require(all(size >= 2 for size in self.blocks), f"blocks of FIMEC have sizes of at least 2, got {self.blocks}")


class FIMEC(CouplingAgent):
    """Factored iterative minimum entropy coupling: each step hides the block of which the receiver knows least.

    The belief over messages is a product of beliefs over blocks, so that its size is the sum of the blocks' sizes and
    not their product: 2^40 messages are four blocks of 1024.
    """

    Config = FIMECConfig
    config: FIMECConfig

    def blocks(self) -> tuple[tuple[int, ...], np.ndarray]:
        """Sizes of the blocks, and their priors one behind the other."""
        sizes, prior, split = self.definition.rules.sizes, self.messages.prior, self.config.blocks
        if not split:
            return sizes, prior
        if len(sizes) > 1:
            raise EnvzooError(f"the messages of {self.source.name} have blocks already; leave blocks of FIMEC out")
        if math.prod(split) != sizes[0]:
            raise EnvzooError(
                f"blocks {split} of FIMEC make {math.prod(split)} messages, but {self.source.name} has {sizes[0]}"
            )
        if not np.allclose(prior, 1 / sizes[0], rtol=1e-9, atol=0):
            raise EnvzooError("a prior that is not uniform does not split into blocks; leave blocks of FIMEC out")
        return split, np.concatenate([np.full(size, 1 / size) for size in split])

    def digits(self, message: np.ndarray) -> np.ndarray:
        """The values of the blocks, (B, blocks)."""
        if not self.config.blocks:
            return super().digits(message)
        if (message < 0).any() or (message >= math.prod(self.sizes)).any():
            raise EnvzooError(f"a message is out of range; expected 0 to {math.prod(self.sizes) - 1}")
        return np.stack(np.unravel_index(message, self.sizes), axis=1)

    def number(self, digits: np.ndarray) -> np.ndarray:
        """The messages as the game counts them, (B, 1), or (B, blocks)."""
        if not self.config.blocks:
            return digits
        return np.ravel_multi_index(tuple(digits.T), self.sizes)[:, None]
