"""OracleGreedy: myopic policy with known payoffs."""

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
    """Select the k largest values above `least` of each row (B, arms), as (B, arms) bool; ties are broken at random."""
    noise = np.empty_like(values)
    draw_noise(streams, noise)
    order = np.lexsort((noise, -values), axis=1)[:, :k]
    pulls = np.zeros(values.shape, bool)
    np.put_along_axis(pulls, order, True, axis=1)
    return pulls & (values > least)


class OracleGreedy(BanditPlanner):
    """Myopic policy with known payoffs: pull the k arms of largest mu_i(s_i), ties broken at random.

    It does not look ahead. In bait instances it wastes arms that would pay far more a few rounds later; on random
    monotone instances it is close to optimal. Source: the oracle-greedy baseline of Laforgue et al.

    Metrics:
        There is neither a plan nor training.
    """

    Config = NoConfig

    def plan(self, model: BanditModel) -> None:
        """Do nothing: there is no plan."""

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """Choose the k arms of largest payoff, except those whose payoff is 0."""
        values = self.model.payoffs[np.arange(columns.shape[1]), columns]
        return best_entries(values, 0.0, self.model.pulls_per_round, memory["streams"])
