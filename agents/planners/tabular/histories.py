"""Exact planning over the histories of a partially observable process, merged where their beliefs agree."""

from __future__ import annotations

import math

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular import FinitePOMDP

DECIMALS = 12  # of beliefs, up to which histories are merged
DEEPEST = 250  # steps; Python's calls go no deeper


class HistoryPlan:
    """The optimal policy over histories of a process with a horizon.

    What a history says about the future is its belief. Histories of one length whose beliefs agree are one node of the
    tree, which thus has as many nodes as there are different beliefs; all of them are solved at once.

    Args:
        model: The process, with a horizon.
        most: Number of nodes after which to give up.

    Attributes:
        value: The best expected return.

    Raises:
        EnvzooError: There is no horizon or a long one, or there are too many different beliefs.
    """

    def __init__(self, model: FinitePOMDP, most: int = 200_000):
        if model.horizon is None:
            raise EnvzooError("the tree of histories needs a horizon")
        if model.horizon > DEEPEST:
            raise EnvzooError(f"horizon is {model.horizon}; the tree of histories goes at most {DEEPEST} steps deep")
        self.model, self.most = model, most
        self._found: dict[tuple, tuple[float, int]] = {}
        first = model.initial * model.emission.T
        self.value = math.fsum(w.sum() * self._node(model.horizon, w)[0] for w in first if w.any())

    @property
    def nodes(self) -> int:
        """Number of different pairs of belief and steps left."""
        return len(self._found)

    def action(self, belief: np.ndarray, left: int) -> int:
        """Return the first optimal action at a belief (S,) with `left` steps to go.

        Raises:
            EnvzooError: The belief is no law, or there is no step to go.
        """
        weights = np.asarray(belief, np.float64)
        if weights.shape != (self.model.num_states,) or not (weights >= 0).all() or not weights.any():
            raise EnvzooError(f"the belief is not usable; expected {self.model.num_states} probabilities")
        if not 1 <= left <= self.model.horizon:
            raise EnvzooError(f"there are {left} steps to go; expected 1 to {self.model.horizon}")
        return self._node(left, weights)[1]

    def _node(self, left: int, weights: np.ndarray) -> tuple[float, int]:
        """Return value and action of the normalised `weights` (S,), which are not 0."""
        belief = weights / weights.sum()
        key = (left, *np.round(belief, DECIMALS).tolist())
        if key not in self._found:
            found = self._solve(left, belief)
            if len(self._found) >= self.most:
                raise EnvzooError(f"the histories have over {self.most} different beliefs; expected a smaller horizon")
            self._found[key] = found
        return self._found[key]

    def _solve(self, left: int, belief: np.ndarray) -> tuple[float, int]:
        model, best, choice = self.model, -np.inf, 0
        for action in range(model.num_actions):
            seen = (belief @ model.p[:, action])[:, None] * model.emission
            value = float(seen.sum(axis=0) @ model.reward)
            if left > 1:
                going_on = np.where(model.terminal[:, None], 0.0, seen).T
                value += model.gamma * sum(w.sum() * self._node(left - 1, w)[0] for w in going_on if w.any())
            if value > best:
                best, choice = value, action
        return best, choice
