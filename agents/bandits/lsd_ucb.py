"""LSDUCB: an optimistic learner for last-switch-dependent bandits that replans when a count doubles."""

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
    """Confidence bound of a mean; the Chernoff bound is tighter for payoffs near 0 and 1."""
    confidence: float = 1.0
    """Factor c of the confidence: the mean of n payoffs is bounded with error probability t^-c in round t. With
    Hoeffding's bound the bonus is sqrt(c log t / (2 n))."""
    pooled: bool = True
    """Bound a state also by the pooled payoffs of all ranges of higher states, not by single states alone."""

    def __post_init__(self):
        super().__post_init__()
        require(self.confidence > 0, f"confidence of LSDUCB is positive, got {self.confidence}")


@njit(cache=True)
def plan_epochs(
    counts, sums, rounds, confidence, chernoff, pooled, satiation, k, rests, pulls,
    began, due, table, activation, stationary,
):  # fmt: skip
    """Start an epoch in the runs marked in `due`: compute upper bounds and plan, and store the counts."""
    frequencies = np.empty((*counts.shape[1:], 2))
    for run in range(due.size):
        if due[run]:
            log_confidence = confidence * np.log(max(rounds[run], 2))
            monotone_upper_bounds(counts[run], sums[run], log_confidence, chernoff, pooled, table[run])
            plan_run(table[run], satiation, k, rests, pulls, frequencies, activation[run], stationary[run])
            began[run] = counts[run]


@njit(cache=True)
def end_epochs(counts, began, columns, pulls, due):
    """Mark the runs in which a state just pulled has twice the visits it had at the start of the epoch."""
    for run in range(due.size):
        due[run] = False
        for arm in range(pulls.shape[1]):
            if pulls[run, arm]:
                column = columns[run, arm]
                before = began[run, arm, column]
                due[run] |= counts[run, arm, column] - before >= max(before, 1)


class LSDUCB(RoundingLearner):
    """Optimism in the face of uncertainty: play the plan for upper confidence bounds of all payoffs, in epochs.

        U_i(s) = min over ranges of states from s' >= s of UCB(pooled mean of the range; n samples, c log t)

    With the Hoeffding bound UCB(m) = m + sqrt(c log t / (2 n)). The minimum over ranges uses monotonicity: mu_i(s) is
    at most the mean over any range of states that starts at or above s. The linear relaxation is solved for U and
    played by mirrored rounding. An epoch ends, separately in each run, when the visits of some state have doubled since
    its start (as in UCRL2), so plans change often at first, and at most K S log2 T times. Epochs of doubling length
    would be too few, because a plan visits few states.

    Guarantee: a plan without fill earns in expectation at least the fraction 1 - k^k e^-k / k! of its own value (all of
    it when k equals the number of arms) if the payoffs are those it was computed for; upper bounds exceed the payoffs
    by a decreasing margin. A plan with fill has no such guarantee; `fill="best"` uses it only where it earned more in
    simulation. Source: the learning setting of arXiv 2306.00338; the details of the learner are our own.

    Metrics:
        learner/epochs: mean number of epochs so far.
        learner/filling: fraction of the runs whose plan fills free pulls.
        learner/expected_return: mean over runs of the sum of the mean payoffs of all pulls so far.
        learner/average_reward: the same, per round.
        learner/recent_reward: the same, per round of the last iteration.
    """

    Config = LSDUCBConfig
    config: LSDUCBConfig

    def arrays(self, sizes: tuple[int, int, int]) -> dict[str, np.ndarray]:
        """Return the counts at the start of the epoch, the runs whose epoch has ended, and the number of epochs."""
        more = {
            "began": np.zeros(sizes, np.int64),
            "due": np.ones(sizes[0], bool),
            "epochs": np.zeros(sizes[0], np.int64),
        }
        return super().arrays(sizes) | more

    def act(self, pulls: np.ndarray) -> None:
        """Plan in runs that start an epoch, then play."""
        p, new = self.policy, self.runs.start | self.policy.due
        if p.due.any():
            self._plan(p.counts, p.began, p.due, *super().plans(), p.trials)
            p.epochs += p.due
        self._before = self.runs.columns
        self.play(np.ones(self.num_runs, bool), new, pulls)

    def learned(self) -> None:
        """Update which epochs have ended."""
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
        """Return the present plans, and plans for the present bounds in runs whose epoch has ended."""
        p = self.policy
        plans = tuple(array.copy() for array in super().plans())
        self._plan(p.counts, p.began.copy(), p.due, *plans, p.trials.copy())
        return plans

    def metrics(self) -> dict[str, float]:
        """Return the mean number of epochs, and the fraction of the runs whose plan fills free pulls."""
        return {"learner/epochs": float(self.policy.epochs.mean()), "learner/filling": float(self.policy.fill.mean())}
