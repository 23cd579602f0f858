"""Planning for recharging bandits, whose payoffs depend on the delay since the last pull (arXiv 2205.14790).

The relaxation has a variable z[i, d] for pulls of arm i at delay d:

    maximise  sum_i,d p_i(d) z[i, d]   subject to   sum_d d z[i, d] <= 1,   sum_i,d z[i, d] <= k,   z >= 0.

Interleaved rounding draws a delay d for every arm with probability d z[i, d] and an offset below it, makes the arm a
candidate once in d rounds, and pulls the best candidates; it keeps the fraction 1 - 1/e for one pull per round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from envzoo.agents.bandits.lsd_lp import lsd_lp
from envzoo.agents.bandits.lsd_rounding import Rollout, check_rollout, new_streams, settle
from envzoo.kernel.stream import uniform


@dataclass(frozen=True, eq=False)
class RechargingPlan:
    """Solution of the relaxation.

    Attributes:
        value: Optimum, reward per round: an upper bound on the long-run reward of every policy.
        frequencies: (arms, D) pulls per round at the delays 1, ..., D.
        guarantee: Fraction of `value` that interleaved rounding is guaranteed to earn; None for payoffs that are not
            monotone.
        payoffs: (arms, D) mean payoffs used for planning.
        pulls_per_round: k.
    """

    value: float
    frequencies: np.ndarray
    guarantee: float | None
    payoffs: np.ndarray
    pulls_per_round: int


def recharging_lp(payoffs: Any, pulls_per_round: int = 1, allow_nonmonotone: bool = False) -> RechargingPlan:
    """Solve the relaxation of a recharging bandit.

    It equals the relaxation `lsd_lp` of a last-switch-dependent bandit with one negative state, in which delay 1 is the
    state -1 and delay n + 1 the state n: both have the same cycles.

    Args:
        payoffs: (arms, D) mean payoffs at the delays 1, ..., D, D at least 2; longer delays count as D.
        pulls_per_round: k.
        allow_nonmonotone: Accept payoffs that decrease with the delay; the plan then has no guarantee.

    Raises:
        EnvzooError: As `lsd_lp`; the message uses the state n for the delay n + 1, and -1 for the delay 1.
    """
    plan = lsd_lp(payoffs, 1, pulls_per_round, allow_nonmonotone)
    return RechargingPlan(plan.value, plan.frequencies[:, :, 1], plan.guarantee, plan.payoffs, plan.pulls_per_round)


@njit(cache=True)
def draw_periods(frequencies, streams, where, periods, countdown):
    """Draw period and offset of every arm for the runs marked in `where`.

    Args:
        frequencies: (arms, D) float64, z.
        streams: (runs, 2) uint64.
        where: (runs,) bool.
        periods: (runs, arms) int64, written; 0 for an arm that is never a candidate.
        countdown: (runs, arms) int64, written; rounds until the arm is a candidate.
    """
    arms, delays = frequencies.shape
    for run in range(where.size):
        if where[run]:
            for arm in range(arms):
                left = uniform(streams, run)
                periods[run, arm] = 0
                for d in range(1, delays + 1):
                    left -= d * frequencies[arm, d - 1]
                    if left < 0.0:
                        periods[run, arm] = d
                        break
                countdown[run, arm] = np.int64(uniform(streams, run) * periods[run, arm])


@njit(cache=True)
def interleaved_round(payoffs, k, periods, countdown, where, pulls):
    """Choose the pulls of one round: the k candidates of largest payoff at their period.

    Args:
        payoffs: (arms, D) float64.
        k: Maximum number of pulls per round.
        periods: (runs, arms) int64.
        countdown: (runs, arms) int64, advanced.
        where: (runs,) bool, the runs to step.
        pulls: (runs, arms) bool, written.
    """
    arms = payoffs.shape[0]
    for run in range(where.size):
        if not where[run]:
            continue
        for arm in range(arms):
            pulls[run, arm] = False
        for _ in range(k):
            best, most = -1, -1.0
            for arm in range(arms):
                period = periods[run, arm]
                candidate = period > 0 and countdown[run, arm] == 0 and not pulls[run, arm]
                if candidate and payoffs[arm, period - 1] > most:
                    best, most = arm, payoffs[arm, period - 1]
            if best < 0:
                break
            pulls[run, best] = True
        for arm in range(arms):
            if periods[run, arm] > 0:
                left = countdown[run, arm] - 1
                countdown[run, arm] = periods[run, arm] - 1 if left < 0 else left


@njit(cache=True)
def _play(payoffs, frequencies, k, rounds, real, streams):
    runs, arms = real.shape
    earned, counts = np.zeros(runs), np.zeros((runs, arms), np.int64)
    pulls, where = np.zeros((runs, arms), np.bool_), np.ones(runs, np.bool_)
    periods, countdown = np.zeros((runs, arms), np.int64), np.zeros((runs, arms), np.int64)
    draw_periods(frequencies, streams, where, periods, countdown)
    for _ in range(rounds):
        interleaved_round(payoffs, k, periods, countdown, where, pulls)
        settle(payoffs, 1, real, pulls, earned, counts)
    return earned / rounds, counts


def interleaved_rounding(plan: RechargingPlan, rounds: int, *, runs: int = 1, seed: int = 0) -> Rollout:
    """Simulate a plan with interleaved rounding in the model, from rested arms.

    Args:
        plan: From `recharging_lp`.
        rounds: Length of every run.
        runs: Number of independent runs; each draws its periods and offsets once.
        seed: Seed of the periods and offsets.

    Raises:
        EnvzooError: The number of rounds or runs is not positive.
    """
    check_rollout(rounds, runs)
    real = np.full((runs, len(plan.payoffs)), plan.payoffs.shape[1] - 1)
    streams = new_streams(seed, runs)
    rewards, pulls = _play(plan.payoffs, plan.frequencies, plan.pulls_per_round, int(rounds), real, streams)
    return Rollout(rewards, pulls, np.zeros(runs, np.int64))
