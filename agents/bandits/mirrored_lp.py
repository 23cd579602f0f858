"""MirroredLP: linear relaxation of a last-switch-dependent bandit with mirrored rounding (arXiv 2306.00338)."""

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
SIMULATED = 32  # simulated runs for the mean of mirrored rounding with random phases


@dataclass(frozen=True)
class MirroredLPConfig:
    """Hyperparameters of MirroredLP; the defaults are the algorithm of the paper."""

    select: Literal["virtual", "real"] = "virtual"
    """Priority of active arms: by the payoff of their virtual or of their real state."""
    fill: Literal["none", "resync"] = "none"
    """Use of pulls for which no arm is active: "none" leaves them unused; "resync" pulls the inactive arm of largest
    current payoff and moves its virtual state along. "resync" is better in practice, but its guarantee is not
    proved."""
    draws: int = 1
    """Number of random phases that are simulated in the model; the best one starts every episode. 1 draws a new phase
    for each episode."""
    best_of: Literal["none", "greedy", "index", "all"] = "none"
    """Other policies that are simulated in the model and used if they earn more: "greedy" (oracle), "index"
    (Lagrangian), or "all". The guarantee of mirrored rounding is kept."""
    planning_rounds: int = 2000
    """Rounds per simulation."""

    def __post_init__(self):
        require(self.select in SELECT, f"select of MirroredLP is 'virtual' or 'real', got {self.select!r}")
        require(self.fill in FILL, f"fill of MirroredLP is 'none' or 'resync', got {self.fill!r}")
        require(self.draws >= 1, f"draws of MirroredLP is at least 1, got {self.draws}")
        require(self.best_of in RIVALS, f"best_of of MirroredLP is one of {', '.join(RIVALS)}, got {self.best_of!r}")
        require(self.planning_rounds >= 1, f"planning_rounds of MirroredLP is at least 1, got {self.planning_rounds}")


class MirroredLP(BanditPlanner):
    """Linear relaxation of a last-switch-dependent bandit, with mirrored rounding.

        maximise  sum_i,s mu_i(s) z[i, s, pull]
        subject to  flow conservation of each arm,  sum_s,a z[i, s, a] = 1,  sum_i,s z[i, s, pull] <= k,  z >= 0

    Each arm has a virtual state that moves independently and is active with probability z[i, s, pull] / sum_a z[i, s,
    a]; the k best active arms are pulled, so real pulls are a subset of virtual ones. For monotone payoffs the policy
    earns at least the fraction 1 - k^k e^-k / k! of the relaxation's value (1 - 1/e for k = 1), in expectation over the
    phases. See `envzoo.agents.bandits.lsd`. Source: arXiv 2306.00338.

    Metrics:
        plan/value: optimum of the relaxation, an upper bound on the reward per round.
        plan/price: Lagrange multiplier of the pull constraint.
        plan/guarantee: guaranteed fraction of `plan/value`; 0 for payoffs that are not monotone.
        plan/simulated: reward per round of the selected policy in simulation, if any was run.

    Attributes:
        lsd_plan: The solution of the relaxation.
        player: Selected policy: "mirrored", "greedy" or "index".
    """

    Config = MirroredLPConfig
    config: MirroredLPConfig

    def plan(self, model: BanditModel) -> None:
        """Solve the relaxation, and run the simulations that the config asks for."""
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
        """Return the metrics of the relaxation and of the simulations."""
        plan = self.lsd_plan
        metrics = {"plan/value": plan.value, "plan/price": plan.price, "plan/guarantee": plan.guarantee or 0.0}
        return metrics if self.simulated is None else {**metrics, "plan/simulated": self.simulated}

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """Choose the pulls of one round by mirrored rounding, or by the policy selected instead."""
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
