"""LSDExploreCommit: learn a last-switch-dependent bandit by visiting all states, then play the plan for good."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from envzoo.agents.bandits.estimates import commit_runs, exploration_rounds, explore_round
from envzoo.agents.bandits.learning import RoundingLearner, RoundingLearnerConfig
from envzoo.agents.spec import require


@dataclass(frozen=True)
class LSDExploreCommitConfig(RoundingLearnerConfig):
    """Hyperparameters of LSDExploreCommit."""

    horizon: int | None = None
    """Rounds of every run for which the exploration is balanced; None takes the budget of the first `learn`."""
    exploration: float = 0.3
    """Factor c of the visits of each state, c (T / L)^(2/3) (log T)^(1/3), L the rounds it takes to visit all once."""
    visits: int | None = None
    """Visits of each state, in place of that formula."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("horizon", "visits"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} of LSDExploreCommit is at least 1, got {value}")
        require(self.exploration > 0, f"exploration of LSDExploreCommit is positive, got {self.exploration}")


class LSDExploreCommit(RoundingLearner):
    """Explore then commit: visit every state of every arm equally often, estimate, plan once, and play the plan.

    With w visits of each state the means are off by about w^(-1/2), and exploring costs w L rounds; the w that balances
    both over T rounds makes the regret against the planner with the true payoffs of the order T^(2/3) (log T)^(1/3).
    The states of all arms are explored at the same time, one arm resting while another is pulled, so that L is close to
    the number of states rather than the sum of all rests. The estimates are projected on the non-decreasing tables
    (isotonic regression), which never takes them further from the true one.

    What is guaranteed: a plan without fill keeps, in expectation, the share 1 - k^k e^-k / k! of its own value (all of
    it with as many pulls as arms), where payoffs are those that it was made for; estimates miss them by
    less the more visits there were. A plan with fill has no such guarantee; `fill="best"` takes it only where it earned
    more in simulated rounds.
    """

    Config = LSDExploreCommitConfig
    config: LSDExploreCommitConfig

    def arrays(self, sizes: tuple[int, int, int]) -> dict[str, np.ndarray]:
        """Visits asked for (0 until the horizon is known), what is lacking, and who has committed."""
        more = {"visits": np.zeros(1, np.int64), "left": np.ones(sizes[0], np.int64)}
        return super().arrays(sizes) | more | {"committed": np.zeros(sizes[0], bool)}

    def _visits(self) -> int:
        c, m = self.config, self.model
        if c.visits is not None:
            return c.visits
        horizon = c.horizon or math.ceil(self.target_timesteps / self.num_runs)
        once = exploration_rounds(m.arms, m.num_states, m.satiation, m.pulls_per_round, 1)
        balanced = c.exploration * (horizon / once) ** (2 / 3) * math.log(max(horizon, 2)) ** (1 / 3)
        return max(1, min(round(balanced), horizon // (2 * once)))

    def act(self, pulls: np.ndarray) -> None:
        """Explore in the runs that lack visits; plan where they have just been made; play the plan elsewhere."""
        p, m = self.policy, self.model
        if p.visits[0] == 0:
            p.visits[0] = self._visits()
        new = self.runs.start & p.committed
        if not p.committed.all():
            exploring = ~p.committed
            k = m.pulls_per_round
            explore_round(p.counts, p.sums, p.visits[0], m.satiation, k, self.runs.columns, exploring, pulls, p.left)
            ready = exploring & (p.left == 0)
            if ready.any():
                self._commit(ready, *super().plans(), p.trials)
                p.committed |= ready
                new |= ready
        if p.committed.any():
            self.play(p.committed, new, pulls)

    def plans(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The plans committed to; where there is none yet, plans for what is known so far."""
        plans = tuple(array.copy() for array in super().plans())
        self._commit(~self.policy.committed, *plans, self.policy.trials.copy())
        return plans

    def _commit(self, where, table, activation, stationary, fill, trials) -> None:
        p, m = self.policy, self.model
        commit_runs(
            p.counts, p.sums, m.satiation, m.pulls_per_round, *self._cycles, where, table, activation, stationary
        )
        self.decide_fill(where, table, activation, stationary, fill, trials)

    def metrics(self) -> dict[str, float]:
        """The visits asked for, and the share of the runs that have committed."""
        return {
            "learner/visits": float(self.policy.visits[0]),
            "learner/committed": float(self.policy.committed.mean()),
        }
