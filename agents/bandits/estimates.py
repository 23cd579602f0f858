"""Numba kernels of the bandit learners: statistics, estimates for monotone payoffs, plans, and exploration.

R is the number of independent runs, K of arms, S of states; states are represented by columns, see
`envzoo.bandits.model`. All statistics have shape (R, K, S): `counts` int64, and `sums` float64 of the observed payoffs.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from envzoo.agents.bandits.lsd_lp import fill_frequencies
from envzoo.bandits.kernels import after_pull, after_rest


@njit(cache=True)
def record(counts, sums, columns, pulls, rewards, valid):
    """Record one round: `columns` (R, K) before it, `pulls` (R, K) bool, `rewards` (R, K), `valid` (R,) bool."""
    for run in range(valid.size):
        if valid[run]:
            for arm in range(columns.shape[1]):
                if pulls[run, arm]:
                    column = columns[run, arm]
                    counts[run, arm, column] += 1
                    sums[run, arm, column] += rewards[run, arm]


@njit(cache=True)
def isotonic_means(counts, sums, table):
    """Write the non-decreasing table (K, S) closest to the sample means in count-weighted squared distance.

    Uses the pool-adjacent-violators algorithm. States without samples take the estimate of the nearest lower state with
    samples, and 0 if there is none.
    """
    states = counts.shape[1]
    total, weight, size = np.empty(states), np.empty(states), np.empty(states, np.int64)
    for arm in range(counts.shape[0]):
        blocks = 0
        for s in range(states):
            if counts[arm, s] == 0:
                continue
            total[blocks], weight[blocks], size[blocks] = sums[arm, s], counts[arm, s], 1
            blocks += 1
            while blocks > 1 and total[blocks - 2] * weight[blocks - 1] >= total[blocks - 1] * weight[blocks - 2]:
                total[blocks - 2] += total[blocks - 1]
                weight[blocks - 2] += weight[blocks - 1]
                size[blocks - 2] += size[blocks - 1]
                blocks -= 1
        block, used, value = -1, 0, 0.0
        for s in range(states):
            if counts[arm, s] > 0:
                if block < 0 or used == size[block]:
                    block, used = block + 1, 0
                    value = total[block] / weight[block]
                used += 1
            table[arm, s] = value


@njit(cache=True)
def upper_bound(mean, x, chernoff):
    """Compute the upper confidence bound q of a mean of payoffs in [0, 1], with x = log(1 / delta) / n.

    Hoeffding: q = mean + sqrt(x / 2). Chernoff: kl(mean, q) <= x, relaxed to a closed form by kl(p, q) >= (q - p)^2 /
    (2 u (1 - u)) with u the number in [p, q] nearest to 1/2; never above Hoeffding's bound.
    """
    q = mean + math.sqrt(0.5 * x)
    if chernoff:
        if mean >= 0.5:
            q = min(q, mean + math.sqrt(2.0 * x * max(mean * (1.0 - mean), 0.0)))
        else:
            slope = x * (1.0 - 2.0 * mean)
            gap = (slope + math.sqrt(slope * slope + 2.0 * x * mean * (1.0 - mean) * (1.0 + 2.0 * x))) / (1.0 + 2.0 * x)
            if mean + gap <= 0.5:
                q = min(q, mean + gap)
    return min(q, 1.0)


@njit(cache=True)
def monotone_upper_bounds(counts, sums, log_confidence, chernoff, pooled, table):
    """Write non-decreasing upper bounds (K, S) on non-decreasing payoffs in [0, 1].

    The payoff of a state is at most that of any higher state, and so at most the mean over any range of states that
    starts at or above it. The bound is the minimum over all such ranges (`pooled`), or over single states.
    """
    states = counts.shape[1]
    for arm in range(counts.shape[0]):
        least = 1.0
        for first in range(states - 1, -1, -1):
            n, total = 0, 0.0
            for last in range(first, states if pooled else first + 1):
                n += counts[arm, last]
                total += sums[arm, last]
                if n > 0:
                    least = min(least, upper_bound(min(total / n, 1.0), log_confidence / n, chernoff))
            table[arm, first] = least


@njit(cache=True)
def plan_run(table, satiation, k, rests, pulls, frequencies, activation, stationary):
    """Solve the relaxation of one table (K, S), and write activation and stationary distribution.

    `frequencies` is scratch space.
    """
    frequencies[:] = 0.0
    fill_frequencies(table, satiation, float(k), rests, pulls, frequencies)
    for arm in range(table.shape[0]):
        whole = 0.0
        for s in range(table.shape[1]):
            total = frequencies[arm, s, 0] + frequencies[arm, s, 1]
            whole += total
            stationary[arm, s] = total
            activation[arm, s] = frequencies[arm, s, 1] / total if total > 1e-12 else 0.0
        for s in range(table.shape[1]):
            stationary[arm, s] /= whole


@njit(cache=True)
def commit_runs(counts, sums, satiation, k, rests, pulls, where, table, activation, stationary):
    """Plan for the isotonic means of the runs marked in `where`; writes table, activation and stationary (R, K, S)."""
    frequencies = np.empty((*counts.shape[1:], 2))
    for run in range(where.size):
        if where[run]:
            isotonic_means(counts[run], sums[run], table[run])
            plan_run(table[run], satiation, k, rests, pulls, frequencies, activation[run], stationary[run])


# ---------------------------------------------------------------------------- exploration


@njit(cache=True)
def explore_round(counts, sums, quota, satiation, k, columns, where, pulls, left):
    """Choose pulls that bring every state of every arm to `quota` visits, with all arms in parallel.

    An arm requests a pull if its state lacks visits, or if a pull is needed to reach states that do: during a series of
    pulls with deeper states missing, or at rest with nothing missing above. Among requesting arms, those that would
    lose most by waiting have priority. Pulls that no arm requests go to arms without missing visits, by estimated
    payoff.

    Args:
        counts: (R, K, S) int64.
        sums: (R, K, S) float64.
        quota: Required visits per state.
        satiation: Number of negative states.
        k: Pulls per round.
        columns: (R, K) int64 columns.
        where: (R,) bool, the exploring runs.
        pulls: (R, K) bool, written where `where` is set.
        left: (R,) int64, missing visits before the round, written where `where` is set.
    """
    arms, states = counts.shape[1:]
    urgency = np.empty(arms)
    for run in range(where.size):
        if not where[run]:
            continue
        left[run] = 0
        for arm in range(arms):
            at = columns[run, arm]
            below, above, lacking = 0, 0, 0
            for s in range(states):
                missing = max(quota - counts[run, arm, s], 0)
                lacking += missing
                if s < at:
                    below += missing
                elif s > at:
                    above += missing
            left[run] += lacking
            rested = at >= satiation
            # Rounds to return to this state; an arm at the maximum rest stays there without cost.
            back = (at - satiation + 2) if rested else (satiation - at + 1)
            if lacking == 0:
                urgency[arm] = -1.0
                if counts[run, arm, at] > 0 and sums[run, arm, at] > 0.0:
                    urgency[arm] = -1.0 / (1.0 + sums[run, arm, at] / counts[run, arm, at])
            elif quota > counts[run, arm, at]:
                urgency[arm] = 2.0 * states + (0.0 if at == states - 1 else back)
            elif not rested and below > 0:
                urgency[arm] = 1.0 * states + back
            elif rested and above == 0:
                urgency[arm] = lacking / (1.0 + lacking)
            else:
                urgency[arm] = -2.0  # the arm is on its way to a state that lacks visits
            pulls[run, arm] = False
        for _ in range(k):
            best, most = -1, -1.5
            for arm in range(arms):
                if not pulls[run, arm] and urgency[arm] > most:
                    best, most = arm, urgency[arm]
            if best < 0:
                break
            pulls[run, best] = True


@njit(cache=True)
def exploration_rounds(arms, states, satiation, k, quota):
    """Compute the number of rounds that `explore_round` takes from rested arms until every state has `quota` visits."""
    counts, sums = np.zeros((1, arms, states), np.int64), np.zeros((1, arms, states))
    columns, left = np.full((1, arms), states - 1), np.ones(1, np.int64)
    where, pulls = np.ones(1, np.bool_), np.zeros((1, arms), np.bool_)
    rounds = 0
    while True:
        explore_round(counts, sums, quota, satiation, k, columns, where, pulls, left)
        if left[0] == 0:
            return rounds
        rounds += 1
        for arm in range(arms):
            at = columns[0, arm]
            if pulls[0, arm]:
                counts[0, arm, at] += 1
                columns[0, arm] = after_pull(at, satiation)
            else:
                columns[0, arm] = after_rest(at, satiation, states)
