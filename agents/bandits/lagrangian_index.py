"""LagrangianIndex: pull the arms for which a pull is worth most at the price that the relaxation sets."""

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
    """Prices of a pull that are simulated in the model, from 0 to 1.2 times the relaxation's; 1 takes that one."""
    planning_rounds: int = 2000
    """Rounds of a simulation."""

    def __post_init__(self):
        require(self.prices >= 1, f"prices of LagrangianIndex is at least 1, got {self.prices}")
        require(
            self.planning_rounds >= 1, f"planning_rounds of LagrangianIndex is at least 1, got {self.planning_rounds}"
        )


class LagrangianIndex(BanditPlanner):
    """An index policy from the relaxation's Lagrange multiplier, see `envzoo.agents.bandits.lsd_index`.

    Not of the paper. It has no guarantee of its own, but uses every round where mirrored rounding leaves some free;
    `MirroredLP(best_of="index")` plays the better of the two and has one. Ties are broken at random.

    Attributes:
        index: (arms, states) the index.
        simulated: Reward per round of the index policy in the model.
    """

    Config = LagrangianIndexConfig
    config: LagrangianIndexConfig

    def plan(self, model: BanditModel) -> None:
        """Solve the relaxation, and choose the price by simulation."""
        self.lsd_plan = lsd_lp(model.payoffs, model.satiation, model.pulls_per_round, model.allow_nonmonotone)
        run, self.index = index_policy(self.lsd_plan, self.config.planning_rounds, prices=self.config.prices)
        self.simulated = float(run.rewards[0])

    def planned(self) -> dict[str, float]:
        """What the relaxation says, and what was simulated."""
        return {
            "plan/value": self.lsd_plan.value,
            "plan/price": self.lsd_plan.price,
            "plan/simulated": self.simulated,
        }

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """The k arms of the largest index, none for which a rest is better."""
        values = self.index[np.arange(columns.shape[1]), columns]
        return best_entries(values, LEAST_INDEX, self.model.pulls_per_round, memory["streams"])
