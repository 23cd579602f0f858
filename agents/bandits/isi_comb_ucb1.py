"""ISICombUCB1: CombUCB1 with blocks that do not depend on the states they start from (Laforgue et al.)."""

from __future__ import annotations

import numpy as np

from envzoo.agents.bandits.comb_ucb1 import CombUCB1


class ISICombUCB1(CombUCB1):
    """Initial state independent CombUCB1: the first pull of an arm in a block is worth nothing and teaches nothing.

    So a block has the same worth wherever it starts, and blocks that are repeated compete with each other fairly, which
    those of CombUCB1 do not: they take what earlier blocks have left to recover. A block is one round longer.
    """

    blind = True

    def block_length(self) -> int:
        """d + 1."""
        return self.config.block or self.model.deprivation + 1

    def arrays(self, sizes: tuple[int, int, int]) -> dict[str, np.ndarray]:
        """Also which arms have been pulled in the block."""
        return super().arrays(sizes) | {"pulled": np.zeros(sizes[:2], bool)}

    def act(self, pulls: np.ndarray) -> None:
        """As in CombUCB1; remembers which arms have been pulled in the block."""
        p = self.policy
        p.pulled[self.runs.start | (p.position >= p.block.shape[1])] = False
        super().act(pulls)

    def teaches(self, pulls: np.ndarray) -> np.ndarray:
        """Pulls (R, K) whose payoffs enter the statistics: all but the first of an arm in a block."""
        p = self.policy
        counted = pulls & p.pulled
        p.pulled |= pulls
        return counted
