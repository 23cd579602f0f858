"""Linear relaxation of last-switch-dependent bandits: an upper bound, and the frequencies used by rounding.

An arm's state is n > 0 after n rounds of rest and -m < 0 after m pulls in a row. The relaxation decouples the arms and
requires only that at most k pulls are made per round on average:

    maximise    sum_i,s  mu_i(s) z[i, s, pull]
    subject to  flow conservation at each state of each arm, the frequencies of every arm sum to 1,
                sum_i,s z[i, s, pull] <= k,    z >= 0.

It bounds the average reward of every policy (arXiv 2306.00338). Only one constraint couples the arms, and an arm alone
can only mix its simple cycles: rest n rounds and pull m times, always rest, or always pull. The value that an arm adds,
as a function of its pull rate, is therefore the upper hull of the points (pull rate, reward rate) of its cycles, and
the optimum fills the coupling constraint with the steepest edges of all hulls first. This is exact and takes
milliseconds where a general solver takes seconds; `method="highs"` solves the program with HiGHS instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numba import njit
from scipy import optimize, sparse

from envzoo.bandits.model import check_payoffs, check_pulls_per_round, first_decrease, transitions
from envzoo.errors import EnvzooError, unknown

METHODS = ("cycles", "highs")
_EPS = 1e-13  # slopes closer than this count as equal: merging them costs no more than this in value


@dataclass(frozen=True)
class LSDPlan:
    """Solution of the relaxation. The states are the columns -satiation, ..., -1, 1, ..., deprivation of all arrays.

    Attributes:
        value: Optimum of the relaxation, reward per round: an upper bound on the long-run reward of every policy.
        frequencies: (arms, states, 2) fraction of rounds that an arm spends in a state and rests [0] or is pulled [1].
        activation: (arms, states) probability of a pull in a state; 0 in states that are never visited.
        stationary: (arms, states) fraction of rounds in a state; each row sums to 1.
        pull_rates: (arms,) pulls per round.
        price: Lagrange multiplier of the pull constraint: the value of one more pull per round.
        guarantee: Fraction of `value` that mirrored rounding is guaranteed to earn, 1 - k^k e^-k / k! for k pulls per
            round (1 - 1/e for one); None for payoffs that are not monotone, which have no guarantee.
        payoffs: (arms, states) mean payoffs used for planning.
        satiation: Number of negative states.
        pulls_per_round: k.
    """

    value: float
    frequencies: np.ndarray
    activation: np.ndarray = field(init=False)
    stationary: np.ndarray = field(init=False)
    pull_rates: np.ndarray = field(init=False)
    price: float
    guarantee: float | None
    payoffs: np.ndarray
    satiation: int
    pulls_per_round: int

    def __post_init__(self):
        total = self.frequencies.sum(axis=2)
        pulls = self.frequencies[:, :, 1]
        activation = np.divide(pulls, total, out=np.zeros_like(pulls), where=total > 1e-12)
        for name, array in (
            ("activation", activation),
            ("stationary", total / total.sum(axis=1, keepdims=True)),
            ("pull_rates", pulls.sum(axis=1)),
        ):
            object.__setattr__(self, name, array)

    @property
    def monotone(self) -> bool:
        """Whether the payoffs are monotone, so that the guarantee holds."""
        return self.guarantee is not None


def rounding_guarantee(pulls_per_round: int) -> float:
    """Return the fraction of the relaxation that independent rounding keeps: 1 - k^k e^-k / k!."""
    k = pulls_per_round
    return 1.0 - math.exp(k * math.log(k) - k - math.lgamma(k + 1))


def lsd_lp(
    payoffs: Any,
    satiation: int,
    pulls_per_round: int = 1,
    allow_nonmonotone: bool = False,
    *,
    method: Literal["cycles", "highs"] = "cycles",
) -> LSDPlan:
    """Solve the linear relaxation of a last-switch-dependent bandit.

    Args:
        payoffs: (arms, satiation + deprivation) mean payoffs of a pull; the columns are the states -satiation, ..., -1,
            1, ..., deprivation, so that a monotone table has non-decreasing rows.
        satiation: Number of negative states, at least 1.
        pulls_per_round: Most pulls in a round (k), at most the number of arms.
        allow_nonmonotone: Take tables that are not monotone as well; the plan then has no guarantee.
        method: "cycles" (hulls of the arms' cycles, exact) or "highs" (the program itself, by the solver HiGHS). Both
            give the same value; where several solutions are optimal, the frequencies may differ. With "cycles" and a
            monotone table, every arm has one recurrent class, so that its time averages are its frequencies.

    Raises:
        EnvzooError: A table that is not monotone (the sentence names arm and states), empty, negative or not finite,
            or more pulls per round than arms.
    """
    table = check_payoffs(payoffs, satiation, allow_nonmonotone=allow_nonmonotone).copy()
    check_pulls_per_round(pulls_per_round, len(table))
    if method not in METHODS:
        raise unknown("method of lsd_lp", method, METHODS)
    satiation, k = int(satiation), int(pulls_per_round)
    frequencies, price = (_solve_cycles if method == "cycles" else _solve_highs)(table, satiation, k)
    value = float((table * frequencies[:, :, 1]).sum())
    guarantee = rounding_guarantee(k) if first_decrease(table) is None else None
    return LSDPlan(value, frequencies, price, guarantee, table, satiation, k)


# ---------------------------------------------------------------------------- by cycles


def _solve_cycles(table: np.ndarray, satiation: int, k: int) -> tuple[np.ndarray, float]:
    arms, states = table.shape
    frequencies = np.zeros((arms, states, 2))
    price = fill_frequencies(table, satiation, float(k), *cycle_order(states - satiation, satiation), frequencies)
    return frequencies, float(price)


def cycle_order(deprivation: int, satiation: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rests n and pulls m of all cycles by increasing pull rate m / (n + m), two int64 arrays."""
    n, m = (a.ravel() for a in np.meshgrid(np.arange(1, deprivation + 1), np.arange(1, satiation + 1), indexing="ij"))
    order = np.argsort(m / (n + m), kind="stable")
    return n[order].astype(np.int64), m[order].astype(np.int64)


@njit(cache=True)
def _hull(row, satiation, sums, rests, pulls, hull_n, hull_m, hull_c, hull_r):
    """Compute the upper hull of an arm's cycles from "always rest" (0, 0) up to its highest point; returns its size.

    `sums[m]` is the payoff of the pulls after the first in a cycle with m pulls. Vertices are written as rests and
    pulls (0, 0: always rest; 0, 1: always pull), pull rates and reward rates.
    """
    hull_n[0], hull_m[0], hull_c[0], hull_r[0] = 0, 0, 0.0, 0.0
    size = 1
    for j in range(rests.size + 1):
        if j < rests.size:
            n, m = rests[j], pulls[j]
            c = m / (n + m)
            r = (row[satiation + n - 1] + sums[m]) / (n + m)
        else:
            n, m, c, r = 0, 1, 1.0, row[0]
        if r <= hull_r[size - 1]:
            continue  # to the right of a point and not above it: beyond the peak found so far
        # A vertex is removed if its slope does not exceed that of the new edge.
        while size > 1:
            gap = c - hull_c[size - 1]
            before = (hull_r[size - 1] - hull_r[size - 2]) / (hull_c[size - 1] - hull_c[size - 2])
            if gap > 1e-15 and (r - hull_r[size - 1]) / gap <= before - _EPS:
                break
            size -= 1
        hull_n[size], hull_m[size], hull_c[size], hull_r[size] = n, m, c, r
        size += 1
    return size


@njit(cache=True)
def _add_cycle(frequencies, satiation, n, m, share):
    """Add the cycle of n rests and m pulls with weight `share` to an arm's frequencies (states, 2)."""
    states = frequencies.shape[0]
    if n == 0:
        if m == 0:
            frequencies[states - 1, 0] += share
        else:
            frequencies[0, 1] += share
        return
    each = share / (n + m)
    for s in range(satiation, satiation + n - 1):
        frequencies[s, 0] += each
    frequencies[satiation + n - 1, 1] += each
    for j in range(1, m):
        frequencies[satiation - j, 1] += each
    frequencies[satiation - m, 0] += each


@njit(cache=True)
def _mix(row, satiation, frequencies, n0, m0, n1, m1, rate):
    """Mix the cycles at both ends of an edge to the pull rate `rate`, through connecting cycles where possible.

    "Always rest" shares a state only with cycles of the maximum rest, "always pull" only with cycles of the maximum
    number of pulls. For monotone payoffs such connecting cycles lie on the edge, too.
    """
    states = row.size
    deprivation = states - satiation
    chain_n, chain_m = np.empty(4, np.int64), np.empty(4, np.int64)
    chain_n[0], chain_m[0] = n0, m0
    size = 1
    if m0 == 0:
        chain_n[size], chain_m[size] = deprivation, 1
        size += 1
    if n1 == 0:
        chain_n[size], chain_m[size] = chain_n[size - 1], satiation
        size += 1
    chain_n[size], chain_m[size] = n1, m1
    size += 1
    c, r = np.empty(size), np.empty(size)
    for j in range(size):
        c[j], r[j] = _point(row, satiation, chain_n[j], chain_m[j])
    slope = (r[size - 1] - r[0]) / (c[size - 1] - c[0])
    left = 0
    for j in range(1, size):
        if j < size - 1 and (c[j] <= c[left] or c[j] >= c[size - 1] or r[j] < r[0] + slope * (c[j] - c[0]) - 1e-12):
            continue  # the connecting cycle is an end of the edge itself, or lies below it
        if rate <= c[j]:
            share = (rate - c[left]) / (c[j] - c[left])
            _add_cycle(frequencies, satiation, chain_n[left], chain_m[left], 1.0 - share)
            _add_cycle(frequencies, satiation, chain_n[j], chain_m[j], share)
            return
        left = j
    _add_cycle(frequencies, satiation, n1, m1, 1.0)


@njit(cache=True)
def _point(row, satiation, n, m):
    """Compute the pull rate and the reward rate of a cycle."""
    if n == 0:
        return float(m), m * row[0]
    total = row[satiation + n - 1]
    for j in range(1, m):
        total += row[satiation - j]
    return m / (n + m), total / (n + m)


@njit(cache=True)
def fill_frequencies(table, satiation, k, rests, pulls, frequencies):
    """Write optimal frequencies (arms, states, 2), which must be zero on entry, and return the price of a pull.

    Args:
        table: (arms, states) float64 payoffs.
        satiation: Number of negative states.
        k: Pulls per round, float.
        rests: Rests of the cycles, from `cycle_order`.
        pulls: Pulls of the cycles, likewise.
        frequencies: Result.
    """
    arms = table.shape[0]
    size = rests.size + 2
    sums = np.empty(satiation + 1)
    hull_n, hull_m = np.empty(size, np.int64), np.empty(size, np.int64)
    hull_c, hull_r = np.empty(size), np.empty(size)
    # Edges of all hulls, flat; edge e of arm i runs from vertex `e` to `e + 1` of the flat list of vertices.
    capacity = 64 * arms + size
    n, m, arm = np.empty(capacity, np.int64), np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    width, slope = np.empty(capacity), np.empty(capacity)
    first = np.empty(arms + 1, np.int64)
    count = 0
    for i in range(arms):
        sums[0] = sums[1] = 0.0
        for j in range(2, satiation + 1):
            sums[j] = sums[j - 1] + table[i, satiation - j + 1]
        vertices = _hull(table[i], satiation, sums, rests, pulls, hull_n, hull_m, hull_c, hull_r)
        if count + vertices > capacity:
            more = capacity + vertices
            n, m, arm = _longer(n, more), _longer(m, more), _longer(arm, more)
            width, slope = _longer(width, more), _longer(slope, more)
            capacity += more
        first[i] = count
        for j in range(vertices):
            n[count], m[count], arm[count] = hull_n[j], hull_m[j], i
            if j + 1 < vertices:
                width[count] = hull_c[j + 1] - hull_c[j]
                slope[count] = (hull_r[j + 1] - hull_r[j]) / width[count]
            else:
                width[count], slope[count] = 0.0, 0.0
            count += 1
    first[arms] = count
    at = first[:arms].copy()  # present vertex of each arm
    left = k
    price, partial, rate = 0.0, -1, 0.0
    for e in np.argsort(-slope[:count], kind="mergesort"):
        if slope[e] <= 0.0:
            break
        if left <= 1e-12:
            price = slope[e]
            break
        if width[e] <= left + 1e-12:
            left -= width[e]
            at[arm[e]] = e + 1
        else:
            partial, rate, price = e, left, slope[e]
            break
    for i in range(arms):
        v = at[i]
        if partial >= 0 and arm[partial] == i:
            start = 0.0 if m[v] == 0 else m[v] / (n[v] + m[v])
            _mix(table[i], satiation, frequencies[i], n[v], m[v], n[v + 1], m[v + 1], start + rate)
        else:
            _add_cycle(frequencies[i], satiation, n[v], m[v], 1.0)
    return price


@njit(cache=True)
def _longer(array, more):
    result = np.empty(array.size + more, array.dtype)
    result[: array.size] = array
    return result


# ---------------------------------------------------------------------------- by a solver


def _solve_highs(table: np.ndarray, satiation: int, k: int) -> tuple[np.ndarray, float]:
    """Solve the program itself; the variables z[i, s, a] are in this order."""
    arms, states = table.shape
    column = np.arange(arms * states * 2).reshape(arms, states, 2)
    row = np.arange(arms * states).reshape(arms, states)
    rows, columns, values = [], [], []
    for action, after in enumerate(transitions(satiation, states - satiation)):
        rows += [row.ravel(), row[:, after].ravel()]
        columns += [column[:, :, action].ravel()] * 2
        values += [np.ones(row.size), -np.ones(row.size)]
    rows.append(np.repeat(arms * states + np.arange(arms), 2 * states))
    columns.append(column.ravel())
    values.append(np.ones(column.size))
    equalities = sparse.coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (arms * (states + 1), column.size)
    )
    right = np.concatenate([np.zeros(arms * states), np.ones(arms)])
    coupling = sparse.coo_matrix(
        (np.ones(arms * states), (np.zeros(arms * states, int), column[:, :, 1].ravel())), (1, column.size)
    )
    cost = np.zeros((arms, states, 2))
    cost[:, :, 1] = -table
    solution = optimize.linprog(
        cost.ravel(), coupling.tocsr(), [float(k)], equalities.tocsc(), right, method="highs-ds"
    )
    if solution.status != 0:
        raise EnvzooError(f"HiGHS did not solve the relaxation of {arms} arms with {states} states: {solution.message}")
    frequencies = np.maximum(solution.x.reshape(arms, states, 2), 0.0)  # removes rounding errors of about -1e-17
    frequencies /= frequencies.sum(axis=(1, 2), keepdims=True)
    return frequencies, float(max(-solution.ineqlin.marginals[0], 0.0))
