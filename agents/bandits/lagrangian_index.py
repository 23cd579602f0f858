"""LagrangianIndex: an index policy from the Lagrange multiplier of the relaxation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.agents.bandits.lsd_index import LEAST_INDEX, index_policy
from envzoo.agents.bandits.lsd_lp import lsd_lp
from envzoo.agents.bandits.oracle_greedy import best_entries
from envzoo.agents.bandits.planning import BanditPlanner
from envzoo.agents.spec import require
from envzoo.bandits.model import BanditModel


@dataclass(frozen=True)
class LagrangianIndexConfig:
    """Hyperparameters of LagrangianIndex."""

    prices: int = 13
    """Number of prices of a pull that are simulated in the model, from 0 to 1.2 times the relaxation's multiplier; 1
    uses the multiplier itself."""
    planning_rounds: int = 2000
    """Rounds per simulation."""

    def __post_init__(self):
        require(self.prices >= 1, f"prices of LagrangianIndex is at least 1, got {self.prices}")
        require(
            self.planning_rounds >= 1, f"planning_rounds of LagrangianIndex is at least 1, got {self.planning_rounds}"
        )


class LagrangianIndex(BanditPlanner):
    """Index policy from the Lagrange multiplier lambda of the relaxation's pull constraint.

        A_i(s) = mu_i(s) - lambda + h_i(s after a pull) - h_i(s after a rest)

    h_i are the relative values of arm i when each pull costs lambda. The k arms of largest index are pulled, none with
    a negative index; ties are broken at random. The policy has no guarantee of its own, but uses every round where
    mirrored rounding leaves some free; `MirroredLP(best_of="index")` plays the better of the two and keeps the
    guarantee. Source: our own, after Whittle's index; not part of arXiv 2306.00338. See
    `envzoo.agents.bandits.lsd_index`.

    Metrics:
        plan/value: optimum of the relaxation, an upper bound on the reward per round.
        plan/price: Lagrange multiplier of the relaxation.
        plan/simulated: reward per round of the index policy in simulation.

    Attributes:
        index: (arms, states) the index.
        simulated: Reward per round of the index policy in simulation.
    """

    Config = LagrangianIndexConfig
    config: LagrangianIndexConfig

    def plan(self, model: BanditModel) -> None:
        """Solve the relaxation, and select the price by simulation."""
        self.lsd_plan = lsd_lp(model.payoffs, model.satiation, model.pulls_per_round, model.allow_nonmonotone)
        run, self.index = index_policy(self.lsd_plan, self.config.planning_rounds, prices=self.config.prices)
        self.simulated = float(run.rewards[0])

    def planned(self) -> dict[str, float]:
        """Return the value and price of the relaxation, and the simulated reward."""
        return {
            "plan/value": self.lsd_plan.value,
            "plan/price": self.lsd_plan.price,
            "plan/simulated": self.simulated,
        }

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """Choose the k arms of largest index, except those for which resting is better."""
        values = self.index[np.arange(columns.shape[1]), columns]
        return best_entries(values, LEAST_INDEX, self.model.pulls_per_round, memory["streams"])
