"""RechargingLP: the relaxation of a recharging bandit, played by interleaved rounding."""

from __future__ import annotations

import numpy as np

from envzoo.agents.agent import NoConfig
from envzoo.agents.bandits.planning import BanditPlanner
from envzoo.agents.bandits.recharging import draw_periods, interleaved_round, recharging_lp
from envzoo.bandits.generators import delays
from envzoo.bandits.model import BanditModel
from envzoo.errors import UnsupportedSpaceError


class RechargingLP(BanditPlanner):
    """Gives every arm a period drawn from the relaxation and a random offset, and pulls the best candidate of a round.

    The planner of Papadigenopoulos et al. for payoffs that depend on the delay since the last pull alone; it keeps
    1 - 1/e of the relaxation in expectation over the periods. The baseline that `MirroredLP` extends.

    Attributes:
        recharging_plan: The solution of the relaxation.
    """

    Config = NoConfig

    def plan(self, model: BanditModel) -> None:
        """Solve the relaxation.

        Raises:
            UnsupportedSpaceError: Payoffs that tell apart how often in a row an arm was pulled.
        """
        table = delays(model)
        if table is None:
            raise UnsupportedSpaceError(
                f"{self.spec.name} plans for payoffs that depend on the delay since the last pull, but this bandit's "
                "payoffs depend on the number of pulls in a row; expected a recharging bandit, or the agent MirroredLP"
            )
        self.recharging_plan = recharging_lp(table, model.pulls_per_round, model.allow_nonmonotone)

    def planned(self) -> dict[str, float]:
        """What the relaxation says."""
        plan = self.recharging_plan
        return {"plan/value": plan.value, "plan/guarantee": plan.guarantee or 0.0}

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """The best candidates of the round."""
        plan = self.recharging_plan
        periods = memory.setdefault("periods", np.zeros_like(columns))
        countdown = memory.setdefault("countdown", np.zeros_like(columns))
        draw_periods(plan.frequencies, memory["streams"], start, periods, countdown)
        pulls = np.zeros(columns.shape, bool)
        interleaved_round(plan.payoffs, plan.pulls_per_round, periods, countdown, np.ones(len(columns), bool), pulls)
        return pulls
