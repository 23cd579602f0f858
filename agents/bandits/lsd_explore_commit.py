"""LSDExploreCommit: an explore-then-commit learner for last-switch-dependent bandits."""

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
    """Rounds of every run for which exploration is balanced; None for the budget of the first `learn`."""
    exploration: float = 0.3
    """Factor c of the visits per state, c (T / L)^(2/3) (log T)^(1/3), with L the rounds needed to visit every state
    once."""
    visits: int | None = None
    """Visits per state, instead of the formula."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("horizon", "visits"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} of LSDExploreCommit is at least 1, got {value}")
        require(self.exploration > 0, f"exploration of LSDExploreCommit is positive, got {self.exploration}")


class LSDExploreCommit(RoundingLearner):
    """Explore-then-commit: visit all states equally often, estimate the payoffs, plan once, and play the plan.

        w = c (T / L)^(2/3) (log T)^(1/3) visits per state,    mu^ = isotonic regression of the sample means

    The plan is the solution of the linear relaxation for mu^ (see `envzoo.agents.bandits.lsd_lp`), played by mirrored
    rounding. With w visits the means have errors of order w^(-1/2), and exploration costs w L rounds; the w above
    balances both, so that the regret against the planner with the true payoffs is of order T^(2/3) (log T)^(1/3). All
    arms are explored in parallel, one resting while another is pulled, which makes L close to the number of states
    instead of the sum of all rests. Isotonic regression projects the estimates on the non-decreasing tables, which
    never increases their distance to the true table.

    Guarantee: a plan without fill earns in expectation at least the fraction 1 - k^k e^-k / k! of its own value (all of
    it when k equals the number of arms) if the payoffs are those it was computed for; the error of the estimates
    decreases with the visits. A plan with fill has no such guarantee; `fill="best"` uses it only where it earned more
    in simulation. Source: the learning setting of arXiv 2306.00338; the details of the learner are our own.

    Metrics:
        learner/visits: visits per state.
        learner/committed: fraction of the runs that have committed to a plan.
        learner/expected_return: mean over runs of the sum of the mean payoffs of all pulls so far.
        learner/average_reward: the same, per round.
        learner/recent_reward: the same, per round of the last iteration.
    """

    Config = LSDExploreCommitConfig
    config: LSDExploreCommitConfig

    def arrays(self, sizes: tuple[int, int, int]) -> dict[str, np.ndarray]:
        """Return the visits per state (0 until the horizon is known), the missing visits, and the committed runs."""
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
        """Explore in runs with missing visits, plan in runs that just completed them, and play the plans."""
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
        """Return the committed plans, and plans for the present estimates in runs that are still exploring."""
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
        """Return the visits per state, and the fraction of the runs that have committed."""
        return {
            "learner/visits": float(self.policy.visits[0]),
            "learner/committed": float(self.policy.committed.mean()),
        }
