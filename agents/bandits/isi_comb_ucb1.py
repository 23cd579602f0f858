"""ISICombUCB1: CombUCB1 with blocks that are independent of the initial states (Laforgue et al.)."""

from __future__ import annotations

import numpy as np

from envzoo.agents.bandits.comb_ucb1 import CombUCB1


class ISICombUCB1(CombUCB1):
    """Initial-state-independent CombUCB1: the first pull of an arm in a block has value 0 and is not recorded.

    Each block maximises

        sum_{pulls of the block, except the first of each arm} (mean_i(s) + sqrt(c log t / n_i(s)))

    so its value does not depend on the states in which it starts, and repeated blocks can be compared fairly. The
    blocks of CombUCB1 depend on what earlier blocks left to recover. A block is one round longer than in CombUCB1.
    Source: Laforgue et al., ISI-CombUCB1.

    Metrics:
        learner/expected_return: mean over runs of the sum of the mean payoffs of all pulls so far.
        learner/average_reward: the same, per round.
        learner/recent_reward: the same, per round of the last iteration.
    """

    blind = True

    def block_length(self) -> int:
        """Return d + 1."""
        return self.config.block or self.model.deprivation + 1

    def arrays(self, sizes: tuple[int, int, int]) -> dict[str, np.ndarray]:
        """Return the arrays of CombUCB1, and a mask of the arms already pulled in the block."""
        return super().arrays(sizes) | {"pulled": np.zeros(sizes[:2], bool)}

    def act(self, pulls: np.ndarray) -> None:
        """Choose the next pulls as in CombUCB1, and reset the mask at the start of a block."""
        p = self.policy
        p.pulled[self.runs.start | (p.position >= p.block.shape[1])] = False
        super().act(pulls)

    def teaches(self, pulls: np.ndarray) -> np.ndarray:
        """Return the pulls (R, K) whose payoffs are recorded: all but the first pull of an arm in a block."""
        p = self.policy
        counted = pulls & p.pulled
        p.pulled |= pulls
        return counted
