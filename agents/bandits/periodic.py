"""PeriodicPlanner: periodic schedules for bandits with state-dependent payoffs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from envzoo.agents.bandits.lsd_periodic import best_cycles, purely_periodic, round_robin, schedule_value
from envzoo.agents.bandits.planning import BanditPlanner
from envzoo.agents.spec import require
from envzoo.bandits.model import BanditModel
from envzoo.kernel.stream import integer

KINDS = ("purely_periodic", "round_robin", "best_arm")


@dataclass(frozen=True)
class PeriodicPlannerConfig:
    """Hyperparameters of PeriodicPlanner."""

    kind: Literal["purely_periodic", "round_robin", "best_arm"] = "purely_periodic"
    """Type of schedule: "purely_periodic" (each selected arm has its own period), "round_robin" (all arms in turn), or
    "best_arm" (the k best arms, each in its individually best cycle)."""

    def __post_init__(self):
        require(self.kind in KINDS, f"kind of PeriodicPlanner is one of {', '.join(KINDS)}, got {self.kind!r}")


@njit(cache=True)
def _draw_rounds(streams, start, length, rounds):
    for i in range(start.size):
        if start[i]:
            rounds[i] = integer(streams, i, length)


class PeriodicPlanner(BanditPlanner):
    """Periodic schedules that ignore the state; every episode starts at a random phase of the schedule.

    "purely_periodic" maximises the reward per round over policies that pull arm i every d_i rounds,

        max_{d, offsets}  sum_i p_i(d_i) / d_i   subject to at most k pulls in any round,

    approximately; see `envzoo.agents.bandits.lsd_periodic`. Source: Simchi-Levi, Zheng and Zhu ("Dynamic Planning and
    Learning under Recovering Rewards", arXiv 2106.13814). "round_robin" and "best_arm" are baselines.

    Metrics:
        plan/value: exact long-run reward per round of the schedule.

    Attributes:
        value: Exact long-run reward per round of the schedule.
    """

    Config = PeriodicPlannerConfig
    config: PeriodicPlannerConfig

    def plan(self, model: BanditModel) -> None:
        """Compute the schedule: period, offset and number of consecutive pulls of each arm."""
        table, k = model.payoffs, model.pulls_per_round
        self.schedule: np.ndarray | None = None
        if self.config.kind == "round_robin":
            self.schedule = round_robin(model.arms, k)
            self.value = schedule_value(table, model.satiation, self.schedule)
        elif self.config.kind == "purely_periodic":
            plan = purely_periodic(table, model.satiation, k)
            self.value, self.periods, self.offsets = plan.value, plan.periods, plan.offsets
            self.bursts = (plan.periods > 0).astype(np.int64)
        else:
            cycles = best_cycles(table, model.satiation)
            best = np.argsort([-cycle.rate for cycle in cycles], kind="stable")[:k]
            self.periods, self.offsets, self.bursts = (np.zeros(model.arms, np.int64) for _ in range(3))
            for arm in best:
                self.periods[arm] = cycles[arm].rests + cycles[arm].pulls
                self.bursts[arm] = cycles[arm].pulls
            self.value = float(sum(cycles[arm].rate for arm in best))

    def planned(self) -> dict[str, float]:
        """Return the value of the schedule."""
        return {"plan/value": self.value}

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """Choose the pulls of the schedule."""
        rounds = memory.setdefault("rounds", np.zeros(len(columns), np.int64))
        length = len(self.schedule) if self.schedule is not None else 1_000_003
        _draw_rounds(memory["streams"], start, length, rounds)
        if self.schedule is not None:
            pulls = self.schedule[rounds % length]
        else:
            pulls = (rounds[:, None] - self.offsets) % np.maximum(self.periods, 1) < self.bursts
        rounds += 1
        return pulls
