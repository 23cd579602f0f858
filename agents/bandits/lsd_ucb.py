"""LSDUCB: learn a last-switch-dependent bandit by planning for optimistic payoffs, again whenever a count doubles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from envzoo.agents.bandits.estimates import monotone_upper_bounds, plan_run
from envzoo.agents.bandits.learning import RoundingLearner, RoundingLearnerConfig
from envzoo.agents.spec import require


@dataclass(frozen=True)
class LSDUCBConfig(RoundingLearnerConfig):
    """Hyperparameters of LSDUCB."""

    bound: Literal["chernoff", "hoeffding"] = "chernoff"
    """Confidence bound of a mean; Chernoff's adapts to payoffs near 0 and 1."""
    confidence: float = 1.0
    """Factor c of the confidence: a mean of n payoffs is bounded at probability t^-c in round t. With Hoeffding's bound
    the bonus is sqrt(c log t / (2 n))."""
    pooled: bool = True
    """Bound a state also by the pooled payoffs of all stretches of states above it, and not by single states alone."""

    def __post_init__(self):
        super().__post_init__()
        require(self.confidence > 0, f"confidence of LSDUCB is positive, got {self.confidence}")


@njit(cache=True)
def plan_epochs(
    counts, sums, rounds, confidence, chernoff, pooled, satiation, k, rests, pulls,
    began, due, table, activation, stationary,
):  # fmt: skip
    """Begin an epoch in the runs marked in `due`: upper bounds, plan, and the counts it began with."""
    frequencies = np.empty((*counts.shape[1:], 2))
    for run in range(due.size):
        if due[run]:
            log_confidence = confidence * np.log(max(rounds[run], 2))
            monotone_upper_bounds(counts[run], sums[run], log_confidence, chernoff, pooled, table[run])
            plan_run(table[run], satiation, k, rests, pulls, frequencies, activation[run], stationary[run])
            began[run] = counts[run]


@njit(cache=True)
def end_epochs(counts, began, columns, pulls, due):
    """Mark the runs in which a state just pulled has twice the visits it had when the epoch began."""
    for run in range(due.size):
        due[run] = False
        for arm in range(pulls.shape[1]):
            if pulls[run, arm]:
                column = columns[run, arm]
                before = began[run, arm, column]
                due[run] |= counts[run, arm, column] - before >= max(before, 1)


class LSDUCB(RoundingLearner):
    """Optimism: play the plan for upper confidence bounds of all payoffs, epoch after epoch.

    Monotone payoffs let every state borrow from the states above it: mu(tau) is at most the mean of any stretch of
    states that begins at or above tau, so the bound is the least over all stretches. An epoch ends, in each run at its
    own time, when some state has been visited twice as often as before the epoch (as in UCRL2): plans change often
    while little is known, and K S log2 T times at most. Epochs that double in length would be too few, as a plan visits
    few states.

    What is guaranteed: a plan without fill keeps, in expectation, the share 1 - k^k e^-k / k! of its own value (all of
    it with as many pulls as arms), where payoffs are those that it was made for; upper bounds are larger than
    payoffs, by less and less. A plan with fill has no such guarantee; `fill="best"` takes it only where it earned more
    in simulated rounds.
    """

    Config = LSDUCBConfig
    config: LSDUCBConfig

    def arrays(self, sizes: tuple[int, int, int]) -> dict[str, np.ndarray]:
        """Counts at the beginning of the epoch, the runs whose epoch is over, and the number of epochs."""
        more = {
            "began": np.zeros(sizes, np.int64),
            "due": np.ones(sizes[0], bool),
            "epochs": np.zeros(sizes[0], np.int64),
        }
        return super().arrays(sizes) | more

    def act(self, pulls: np.ndarray) -> None:
        """Plan where an epoch begins, then play."""
        p, new = self.policy, self.runs.start | self.policy.due
        if p.due.any():
            self._plan(p.counts, p.began, p.due, *super().plans(), p.trials)
            p.epochs += p.due
        self._before = self.runs.columns
        self.play(np.ones(self.num_runs, bool), new, pulls)

    def learned(self) -> None:
        """See which epochs are over."""
        p = self.policy
        end_epochs(p.counts, p.began, self._before, self._pulls, p.due)

    def _plan(self, counts, began, due, table, activation, stationary, fill, trials) -> None:
        c, m, p = self.config, self.model, self.policy
        options = (c.confidence, c.bound == "chernoff", c.pooled, m.satiation, m.pulls_per_round)
        plan_epochs(
            counts, p.sums, self.runs.rounds, *options, *self._cycles, began, due, table, activation, stationary
        )
        self.decide_fill(due, table, activation, stationary, fill, trials)

    def plans(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The present plans; plans for the present bounds where an epoch is over."""
        p = self.policy
        plans = tuple(array.copy() for array in super().plans())
        self._plan(p.counts, p.began.copy(), p.due, *plans, p.trials.copy())
        return plans

    def metrics(self) -> dict[str, float]:
        """Epochs so far, and the share of the runs whose plan fills free pulls."""
        return {"learner/epochs": float(self.policy.epochs.mean()), "learner/filling": float(self.policy.fill.mean())}
