"""OracleGreedy: pull the arms that pay most in this round, knowing all payoffs."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.agents.agent import NoConfig
from envzoo.agents.bandits.planning import BanditPlanner
from envzoo.bandits.model import BanditModel
from envzoo.kernel.stream import uniform


@njit(cache=True)
def draw_noise(streams, noise):
    """Fill (B, arms) with uniform numbers, each row from its own stream."""
    for row in range(noise.shape[0]):
        for arm in range(noise.shape[1]):
            noise[row, arm] = uniform(streams, row)


def best_entries(values: np.ndarray, least: float, k: int, streams: np.ndarray) -> np.ndarray:
    """The k largest values of each row (B, arms) that are above `least`, as (B, arms) bool; equal ones at random."""
    noise = np.empty_like(values)
    draw_noise(streams, noise)
    order = np.lexsort((noise, -values), axis=1)[:, :k]
    pulls = np.zeros(values.shape, bool)
    np.put_along_axis(pulls, order, True, axis=1)
    return pulls & (values > least)


class OracleGreedy(BanditPlanner):
    """Knows what every arm pays in its present state, and takes the most it can have now; ties are broken at random.

    It looks no round ahead. In bait instances it spoils arms that would pay far more a little later; among random
    monotone instances it is close to the best.
    """

    Config = NoConfig

    def plan(self, model: BanditModel) -> None:
        """Nothing to prepare."""

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """The k arms of the largest payoff, none that pays nothing."""
        values = self.model.payoffs[np.arange(columns.shape[1]), columns]
        return best_entries(values, 0.0, self.model.pulls_per_round, memory["streams"])
