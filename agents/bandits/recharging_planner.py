"""RechargingLP: linear relaxation of a recharging bandit with interleaved rounding."""

from __future__ import annotations

import numpy as np

from envzoo.agents.agent import NoConfig
from envzoo.agents.bandits.planning import BanditPlanner
from envzoo.agents.bandits.recharging import draw_periods, interleaved_round, recharging_lp
from envzoo.bandits.generators import delays
from envzoo.bandits.model import BanditModel
from envzoo.errors import UnsupportedSpaceError


class RechargingLP(BanditPlanner):
    """Linear relaxation of a recharging bandit, with interleaved rounding of random periods.

        maximise  sum_i,d p_i(d) z[i, d]   subject to   sum_d d z[i, d] <= 1,   sum_i,d z[i, d] <= k,   z >= 0

    Each arm draws a period d with probability d z[i, d] and a random offset, is a candidate once in d rounds, and the k
    best candidates of a round are pulled. For monotone payoffs and k = 1 the policy earns at least 1 - 1/e of the
    relaxation, in expectation over the periods. Payoffs must depend only on the delay since the last pull; `MirroredLP`
    extends the method. Source: Papadigenopoulos et al. (2022, arXiv 2205.14790).

    Metrics:
        plan/value: optimum of the relaxation, an upper bound on the reward per round.
        plan/guarantee: guaranteed fraction of `plan/value`; 0 for payoffs that are not monotone.

    Attributes:
        recharging_plan: The solution of the relaxation.
    """

    Config = NoConfig

    def plan(self, model: BanditModel) -> None:
        """Solve the relaxation.

        Raises:
            UnsupportedSpaceError: The payoffs depend on the number of pulls in a row.
        """
        table = delays(model)
        if table is None:
            raise UnsupportedSpaceError(
                f"{self.spec.name} plans for payoffs that depend on the delay since the last pull, but this bandit's "
                "payoffs depend on the number of pulls in a row; expected a recharging bandit, or the agent MirroredLP"
            )
        self.recharging_plan = recharging_lp(table, model.pulls_per_round, model.allow_nonmonotone)

    def planned(self) -> dict[str, float]:
        """Return the value and the guarantee of the relaxation."""
        plan = self.recharging_plan
        return {"plan/value": plan.value, "plan/guarantee": plan.guarantee or 0.0}

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """Choose the best candidates of the round."""
        plan = self.recharging_plan
        periods = memory.setdefault("periods", np.zeros_like(columns))
        countdown = memory.setdefault("countdown", np.zeros_like(columns))
        draw_periods(plan.frequencies, memory["streams"], start, periods, countdown)
        pulls = np.zeros(columns.shape, bool)
        interleaved_round(plan.payoffs, plan.pulls_per_round, periods, countdown, np.ones(len(columns), bool), pulls)
        return pulls
