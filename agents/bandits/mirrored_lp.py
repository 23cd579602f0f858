"""MirroredLP: play the linear relaxation of a last-switch-dependent bandit by mirrored rounding (paper 30)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from envzoo.agents.bandits.lsd_index import LEAST_INDEX, index_policy
from envzoo.agents.bandits.lsd_lp import LSDPlan, lsd_lp
from envzoo.agents.bandits.lsd_rounding import (
    FILL,
    SELECT,
    draw_virtual,
    mirrored_round,
    new_streams,
    oracle_greedy,
    play_mirrored,
    table_round,
)
from envzoo.agents.bandits.planning import BanditPlanner
from envzoo.agents.spec import require
from envzoo.bandits.model import BanditModel

RIVALS = ("none", "greedy", "index", "all")
SIMULATED = 32  # runs whose mean stands for mirrored rounding with fresh phases


@dataclass(frozen=True)
class MirroredLPConfig:
    """Hyperparameters of MirroredLP; the defaults are the algorithm of the paper."""

    select: Literal["virtual", "real"] = "virtual"
    """Which active arms are pulled: those of the largest payoff in their virtual or in their real state."""
    fill: Literal["none", "resync"] = "none"
    """Pulls for which no arm is active: "none" leaves them, "resync" gives them to the arm that pays most now and lets
    its virtual state follow. The second is better in practice; its guarantee is not proved."""
    draws: int = 1
    """Draws of the phases that are simulated in the model; the best starts every episode. 1 draws anew for each."""
    best_of: Literal["none", "greedy", "index", "all"] = "none"
    """Players that are simulated in the model, too, and take over if they earn more: oracle "greedy", the Lagrangian
    "index" policy, or "all". What mirrored rounding guarantees is kept."""
    planning_rounds: int = 2000
    """Rounds of a simulation."""

    def __post_init__(self):
        require(self.select in SELECT, f"select of MirroredLP is 'virtual' or 'real', got {self.select!r}")
        require(self.fill in FILL, f"fill of MirroredLP is 'none' or 'resync', got {self.fill!r}")
        require(self.draws >= 1, f"draws of MirroredLP is at least 1, got {self.draws}")
        require(self.best_of in RIVALS, f"best_of of MirroredLP is one of {', '.join(RIVALS)}, got {self.best_of!r}")
        require(self.planning_rounds >= 1, f"planning_rounds of MirroredLP is at least 1, got {self.planning_rounds}")


class MirroredLP(BanditPlanner):
    """Virtual arms that move as the relaxation says, and real pulls that mirror a subset of theirs.

    For monotone payoffs it earns at least 1 - 1/e of the relaxation, the best that any policy could earn, in
    expectation over the phases (1 - k^k e^-k / k! with k pulls per round). See `envzoo.agents.bandits.lsd`.

    Attributes:
        lsd_plan: The solution of the relaxation.
        player: Who plays: "mirrored", "greedy" or "index".
    """

    Config = MirroredLPConfig
    config: MirroredLPConfig

    def plan(self, model: BanditModel) -> None:
        """Solve the relaxation, and hold the contests that the config asks for."""
        c = self.config
        plan = self.lsd_plan = lsd_lp(model.payoffs, model.satiation, model.pulls_per_round, model.allow_nonmonotone)
        self.player, self.table, self.least, self.phases = "mirrored", plan.payoffs, 0.0, None
        self.simulated: float | None = None
        if c.draws > 1 or c.best_of != "none":
            self._simulate(plan)
        if c.best_of in ("greedy", "all"):
            run = oracle_greedy(plan.payoffs, plan.satiation, c.planning_rounds, pulls_per_round=plan.pulls_per_round)
            self._challenge("greedy", float(run.rewards[0]), plan.payoffs, 0.0)
        if c.best_of in ("index", "all"):
            run, index = index_policy(plan, c.planning_rounds)
            self._challenge("index", float(run.rewards[0]), index, LEAST_INDEX)

    def _simulate(self, plan: LSDPlan) -> None:
        c = self.config
        streams = new_streams(self.streams.integer("phases"), max(c.draws, SIMULATED if c.draws == 1 else 1))
        rollout, phases = play_mirrored(plan, c.planning_rounds, streams, select=c.select, fill=c.fill)
        if c.draws > 1:
            best = int(rollout.rewards.argmax())
            self.phases, self.simulated = phases[best], float(rollout.rewards[best])
        else:
            self.simulated = float(rollout.rewards.mean())

    def _challenge(self, player: str, reward: float, table: np.ndarray, least: float) -> None:
        if reward > self.simulated:
            self.player, self.simulated, self.table, self.least = player, reward, table, least

    def planned(self) -> dict[str, float]:
        """What the relaxation says, and what was simulated."""
        plan = self.lsd_plan
        metrics = {"plan/value": plan.value, "plan/price": plan.price, "plan/guarantee": plan.guarantee or 0.0}
        return metrics if self.simulated is None else {**metrics, "plan/simulated": self.simulated}

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """One round of mirrored rounding, or of the player that has taken over."""
        plan = self.lsd_plan
        pulls, where = np.zeros(columns.shape, bool), np.ones(len(columns), bool)
        if self.player != "mirrored":
            table_round(self.table[None], self.least, plan.pulls_per_round, columns, where, pulls)
            return pulls
        virtual = memory.setdefault("virtual", np.zeros_like(columns))
        if self.phases is not None:
            virtual[start] = np.minimum(self.phases, columns[start])
        else:
            draw_virtual(plan.stationary[None], columns, memory["streams"], start, virtual)
        mirrored_round(
            plan.payoffs[None],
            plan.activation[None],
            plan.satiation,
            plan.pulls_per_round,
            self.config.select == "real",
            np.array([self.config.fill == "resync"]),
            columns,
            virtual,
            memory["streams"],
            where,
            pulls,
        )
        return pulls
