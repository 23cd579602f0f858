"""PeriodicPlanner: schedules that repeat, the simplest plans of bandits with a memory."""

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
    """Every chosen arm at a period of its own; all arms in turn; or the k best arms, each in the cycle that is best for
    it alone."""

    def __post_init__(self):
        require(self.kind in KINDS, f"kind of PeriodicPlanner is one of {', '.join(KINDS)}, got {self.kind!r}")


@njit(cache=True)
def _draw_rounds(streams, start, length, rounds):
    for i in range(start.size):
        if start[i]:
            rounds[i] = integer(streams, i, length)


class PeriodicPlanner(BanditPlanner):
    """Plays a schedule over and over; sees no state. Every episode starts at a random place of the schedule.

    "purely_periodic" follows Simchi-Levi, Zheng and Zhu ("Dynamic Planning and Learning under Recovering Rewards");
    see `envzoo.agents.bandits.lsd_periodic`.

    Attributes:
        value: Reward per round in the long run, exact.
    """

    Config = PeriodicPlannerConfig
    config: PeriodicPlannerConfig

    def plan(self, model: BanditModel) -> None:
        """Make the schedule as periods, offsets and lengths of the bursts of pulls of each arm."""
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
        """What the schedule earns."""
        return {"plan/value": self.value}

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """The pulls of the schedule."""
        rounds = memory.setdefault("rounds", np.zeros(len(columns), np.int64))
        length = len(self.schedule) if self.schedule is not None else 1_000_003
        _draw_rounds(memory["streams"], start, length, rounds)
        if self.schedule is not None:
            pulls = self.schedule[rounds % length]
        else:
            pulls = (rounds[:, None] - self.offsets) % np.maximum(self.periods, 1) < self.bursts
        rounds += 1
        return pulls
