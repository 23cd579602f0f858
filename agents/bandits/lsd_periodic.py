"""Periodic policies for last-switch-dependent bandits: single-arm cycles, round robin, and purely periodic policies.

A purely periodic policy pulls arm i every d_i rounds. Simchi-Levi, Zheng and Zhu ("Dynamic Planning and Learning under
Recovering Rewards", arXiv 2106.13814) show that with k pulls per round such policies come within 1 - O(1/sqrt(k)) of
the optimum. The construction here follows the same idea: periods are rounded up to a 2^j with a in {b, ..., 2b - 1},
which costs at most a fraction 1/b of an arm's rate; each of the k pulls is assigned to one a, whose periods pack
without gaps as residue classes, so that at most one pull per a is wasted, a fraction b/k. The best result over all b
and several prices of a pull is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from envzoo.agents.bandits.lsd_lp import lsd_lp
from envzoo.bandits.model import check_payoffs, check_pulls_per_round, transitions
from envzoo.errors import EnvzooError


class Cycle(NamedTuple):
    """Cycle of an arm: rest `rests` rounds, then pull `pulls` times; (0, 1) is always pull, (0, 0) always rest.

    `rate` is the reward per round.
    """

    rests: int
    pulls: int
    rate: float


@dataclass(frozen=True, eq=False)
class PeriodicPlan:
    """A purely periodic policy: arm i is pulled in the rounds t with t = offsets[i] modulo periods[i].

    Attributes:
        value: Exact reward per round; no two arms share a pull.
        periods: (arms,) int64; 0 for arms that are never pulled.
        offsets: (arms,) int64.
    """

    value: float
    periods: np.ndarray
    offsets: np.ndarray

    def pulls(self, rounds: np.ndarray) -> np.ndarray:
        """Return the pulls (runs, arms) bool in the rounds (runs,) int64."""
        periods = np.maximum(self.periods, 1)
        return (self.periods > 0) & (rounds[:, None] % periods == self.offsets)


def best_cycles(payoffs: Any, satiation: int) -> list[Cycle]:
    """Find for every arm the cycle of largest reward per round if it were the only arm; ties go to the fewest pulls.

    Args:
        payoffs: (arms, satiation + deprivation), monotone or not.
        satiation: Number of negative states.

    Raises:
        EnvzooError: An invalid table.
    """
    table = check_payoffs(payoffs, satiation, allow_nonmonotone=True)
    deprivation = table.shape[1] - satiation
    n, m = np.arange(1, deprivation + 1)[:, None], np.arange(1, satiation + 1)
    found = []
    for row in table:
        after_first = np.concatenate([[0.0], np.cumsum(row[:satiation][::-1])[:-1]])
        rates = (row[satiation:, None] + after_first) / (n + m)
        most = rates.max()
        if row[0] > most + 1e-15:
            found.append(Cycle(0, 1, float(row[0])))
        elif most == 0.0:
            found.append(Cycle(0, 0, 0.0))
        else:
            candidates = np.argwhere(rates >= most - 1e-15)
            i, j = candidates[np.argmin((m[candidates[:, 1]]) / (n[candidates[:, 0], 0] + m[candidates[:, 1]]))]
            found.append(Cycle(int(i) + 1, int(j) + 1, float(rates[i, j])))
    return found


def schedule_value(payoffs: Any, satiation: int, schedule: Any) -> float:
    """Compute the exact long-run reward per round of repeating a schedule.

    Args:
        payoffs: (arms, states), monotone or not.
        satiation: Number of negative states.
        schedule: (rounds, arms) bool, the pulls of one period.

    Raises:
        EnvzooError: An invalid table or schedule.
    """
    table = check_payoffs(payoffs, satiation, allow_nonmonotone=True)
    pulls = np.asarray(schedule, bool)
    if pulls.ndim != 2 or not len(pulls) or pulls.shape[1] != len(table):
        raise EnvzooError(f"the schedule has the shape {pulls.shape}; expected (rounds, {len(table)})")
    moves, number = transitions(satiation, table.shape[1] - satiation), np.arange(len(table))
    columns, before = np.full(len(table), table.shape[1] - 1), None
    # An arm's state does not depend on the past before a switch or a cap, so the initial states converge quickly.
    while before is None or (columns != before).any():
        before, total = columns, 0.0
        for row in pulls:
            total += table[number, columns][row].sum()
            columns = moves[row.astype(np.int64), columns]
    return total / len(pulls)


def round_robin(arms: int, pulls_per_round: int = 1) -> np.ndarray:
    """Create the schedule (rounds, arms) bool that pulls all arms in turn, k in every round."""
    check_pulls_per_round(pulls_per_round, arms)
    rounds = arms // gcd(arms, pulls_per_round)
    schedule = np.zeros((rounds, arms), bool)
    slot = np.arange(rounds * pulls_per_round)
    schedule[slot // pulls_per_round, slot % arms] = True
    return schedule


def purely_periodic(payoffs: Any, satiation: int, pulls_per_round: int = 1, *, prices: int = 13) -> PeriodicPlan:
    """Compute a purely periodic policy of large value; see the module.

    Args:
        payoffs: (arms, satiation + deprivation), monotone or not.
        satiation: Number of negative states.
        pulls_per_round: k.
        prices: Number of prices of a pull that are tried, between 0 and 1.2 times the relaxation's price.

    Raises:
        EnvzooError: As `lsd_lp`.
    """
    plan = lsd_lp(payoffs, satiation, pulls_per_round, allow_nonmonotone=True)
    table = plan.payoffs
    # Payoff of each pull by period d = 1, 2, ...: period 1 is in state -satiation, period d > 1 in state d - 1.
    paid = np.concatenate([table[:, :1], table[:, satiation:]], axis=1)
    period = np.arange(1, paid.shape[1] + 1)
    best = PeriodicPlan(0.0, np.zeros(len(table), np.int64), np.zeros(len(table), np.int64))
    for price in plan.price * np.linspace(0.0, 1.2, prices):
        profit = (paid - price) / period
        wanted = profit.argmax(axis=1) + 1
        order = np.argsort(-profit.max(axis=1) * wanted, kind="stable")
        order = order[profit.max(axis=1)[order] > 0]
        for b in range(1, 2 * int(np.ceil(np.sqrt(pulls_per_round))) + 2):
            packed = _pack(wanted, order, b, pulls_per_round)
            used = np.maximum(packed[0], 1)
            earned = paid[np.arange(len(table)), np.minimum(used, paid.shape[1]) - 1] / used
            value = float(earned[packed[0] > 0].sum())
            if value > best.value:
                best = PeriodicPlan(value, *packed)
    return best


def _pack(wanted: np.ndarray, order: np.ndarray, b: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Assign residue classes of the rounds of k pulls to arms, in `order`: periods and offsets (arms,).

    An arm is placed where its period grows least, in the largest suitable class; an arm that fits nowhere is left out
    (period 0).
    """
    periods, offsets = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.int64)
    free: list[tuple[int, int, int]] = []  # unassigned classes: pull, period and offset
    opened = 0
    for arm in order:
        options = [(_double(period, int(wanted[arm])), -period, pull, offset) for pull, period, offset in free]
        if opened < k:
            grown, a = min((_double(a, int(wanted[arm])), a) for a in range(b, 2 * b))
            if not options or grown < min(options)[0]:
                free += [(opened, a, residue) for residue in range(a)]
                options = [(grown, -a, opened, 0)]
                opened += 1
        if not options:
            continue
        grown, negative, pull, offset = min(options)
        period = -negative
        free.remove((pull, period, offset))
        while period < grown:  # split the class in two, keep one half
            free.append((pull, 2 * period, offset + period))
            period *= 2
        periods[arm], offsets[arm] = grown, offset
    return periods, offsets


def _double(a: int, least: int) -> int:
    while a < least:
        a *= 2
    return a
