"""OMLE: optimistic maximum likelihood over a finite class of models (Liu et al., 2022, arXiv 2204.08967)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from envzoo.agents.planners.tabular.belief import filter_step
from envzoo.agents.spec import require
from envzoo.agents.tabular.open_loop import OpenLoopAgent, OpenLoopConfig
from envzoo.errors import EnvzooError
from envzoo.tabular.revealing_lock import all_locks

MOST_MODELS = 20_000


@dataclass(frozen=True)
class OMLEConfig(OpenLoopConfig):
    """Hyperparameters of OMLE."""

    slack: float = 1.0
    """Constant c of the width of the confidence set, ln(T |Theta|) + c."""

    def __post_init__(self):
        super().__post_init__()
        require(self.slack >= 0, f"slack is at least 0, got {self.slack}")


@njit(cache=True)
def add_likelihoods(p, emission, initial, terminal, shown, plan, total):
    """Add the log-likelihood of one episode under every model to total (models,).

    Args:
        p: (models, S, A, S).
        emission: (models, S, O).
        initial: (S,).
        terminal: (S,) bool.
        shown: (t + 1,) int64 observations.
        plan: (t,) int64 actions.
        total: (models,) float64, changed.
    """
    states = initial.size
    belief, out = np.empty(states), np.empty(states)
    for m in range(total.size):
        mass = 0.0
        for s in range(states):
            belief[s] = initial[s] * emission[m, s, shown[0]]
            mass += belief[s]
        found = 0.0
        for t in range(plan.size + 1):
            if mass <= 0.0:
                found = -np.inf
                break
            found += math.log(mass)
            if t == plan.size:
                break
            for s in range(states):
                belief[s] = 0.0 if terminal[s] else belief[s] / mass
            mass = filter_step(p[m], emission[m], belief, plan[t], shown[t + 1], out)
            belief, out = out, belief
        total[m] += found


class OMLE(OpenLoopAgent):
    """Optimistic maximum likelihood: the best model among those nearly as likely as the likeliest.

        Theta_k = {theta: LL_k(theta) >= max LL_k - beta},  beta = ln(T |Theta|) + c                    (1)

    The class holds every lock of the same sizes, gap and signal. All have one optimal value, so that optimism takes
    the likeliest model of Theta_k with the fewest plays of its plan. In the mode "free" the plan is played; in the mode
    "paid" it is played up to a step that goes through the episode in turns, and then the state is revealed. Once all
    models of Theta_k have one plan, that is played. Likelihoods come from the forward filter. For tiny locks. Source:
    Liu, Chung, Szepesvari and Jin, arXiv 2204.08967.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/plans_left: mean number of plans of the models in the confidence set.
    """

    Config = OMLEConfig
    config: OMLEConfig

    def prepare(self, env: object) -> None:
        """List the class of models."""
        super().prepare(env)
        k = self.lock
        plans = k.leaves * k.actions ** (k.length + 1)
        count = plans * math.comb(len(k.signs), len(k.signs) // 2)
        if count > MOST_MODELS:
            raise EnvzooError(
                f"{self.spec.name} keeps a likelihood for each of {count} models; expected at most {MOST_MODELS}, from "
                "a smaller lock"
            )
        models = [(lock.best_plan, lock.pomdp()) for lock in all_locks(k)]
        self.plans = np.array([plan for plan, _ in models])
        self.p = np.stack([model.p for _, model in models])
        self.emission = np.stack([model.emission for _, model in models])
        self.first, self.terminal = models[0][1].initial, models[0][1].terminal
        self.names = np.unique(self.plans, axis=0, return_inverse=True)[1].reshape(-1)

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return the log-likelihood of every model, and the plays of every plan."""
        plays = np.zeros((runs, int(self.names.max()) + 1), np.int64)
        return super().tables(runs) | {"likelihood": np.zeros((runs, len(self.plans))), "plays": plays}

    def confident(self, run: int) -> np.ndarray:
        """Return the numbers of the models in the confidence set (1)."""
        found = self.policy.likelihood[run]
        width = math.log(self.config.num_episodes * len(found)) + self.config.slack
        return np.flatnonzero(found >= found.max() - width)

    def best_plan(self, run: int) -> np.ndarray:
        """Return the plan of the likeliest model."""
        return self.plans[int(self.policy.likelihood[run].argmax())]

    def make_plan(self, run: int) -> np.ndarray:
        """Choose a model of the confidence set, and what to learn from its plan."""
        p, kept = self.policy, self.confident(run)
        names = self.names[kept]
        if (names == names[0]).all():
            return self.plans[kept[0]]
        plays = p.plays[run, names]
        ties = kept[plays == plays.min()]
        model = int(ties[p.likelihood[run, ties].argmax()])
        p.plays[run, self.names[model]] += 1
        plan = self.plans[model].copy()
        if self.lock.mode == "paid":
            plan[2 + int(p.episodes[run]) % (self.lock.length + 1)] = self.lock.actions
        return plan

    def learn_run(self, run: int, shown: np.ndarray, plan: np.ndarray, reward: float) -> None:
        """Update the likelihoods."""
        plan = np.clip(plan, 0, self.lock.actions)
        add_likelihoods(self.p, self.emission, self.first, self.terminal, shown, plan, self.policy.likelihood[run])

    def metrics(self) -> dict[str, float]:
        """Report the size of the confidence sets."""
        left = [len(np.unique(self.names[self.confident(run)])) for run in range(self.num_runs)]
        return {"learner/plans_left": float(np.mean(left))}
