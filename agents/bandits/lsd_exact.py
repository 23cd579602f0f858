"""Exact planning for small last-switch-dependent bandits by relative value iteration over joint states."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numba import njit

from envzoo.bandits.model import check_count, check_payoffs, check_pulls_per_round, transitions
from envzoo.errors import EnvzooError

BYTES_PER_STATE = 16  # two float64
DAMPING = 0.5  # step size of a backup; without damping the values oscillate with the period of the optimal cycle


@dataclass(frozen=True, eq=False)
class ExactPlan:
    """An optimal policy for the average reward.

    Attributes:
        value: Exact reward per round of the policy's cycle, reached from rested arms.
        upper: Upper bound on the value of any policy; at most the tolerance above `value`.
        relative_values: (states ** arms,) relative value of each joint state; arm 0 is the most significant digit.
        cycle: (L, arms) bool, the pulls of the policy's cycle.
        sweeps: Number of sweeps over the joint states.
        payoffs: (arms, states) the payoffs.
        satiation: Number of negative states.
        pulls_per_round: k.
    """

    value: float
    upper: float
    relative_values: np.ndarray
    cycle: np.ndarray
    sweeps: int
    payoffs: np.ndarray
    satiation: int
    pulls_per_round: int

    def pulls(self, columns: np.ndarray) -> np.ndarray:
        """Choose the optimal pulls (runs, arms) bool in states given as columns (runs, arms) int64."""
        tables = _tables(self.payoffs, self.satiation)
        subsets = _subsets(*self.payoffs.shape[:1], self.pulls_per_round)
        columns = np.ascontiguousarray(columns, np.int64)
        pulls = np.zeros(columns.shape, np.bool_)
        _act(*tables, subsets, self.relative_values, columns, pulls)
        return pulls


def relative_value_iteration(
    payoffs: Any,
    satiation: int,
    pulls_per_round: int = 1,
    *,
    tolerance: float = 1e-9,
    max_sweeps: int = 100_000,
    memory_limit: float = 2e9,
) -> ExactPlan:
    """Compute the largest long-run reward per round of any policy, by relative value iteration over all joint states.

    Every sweep bounds the optimum between the smallest and the largest change of a value. Once these differ by less
    than the tolerance, the greedy policy is followed to its cycle, whose mean reward is the value.

    Args:
        payoffs: (arms, satiation + deprivation) mean payoffs, monotone or not.
        satiation: Number of negative states.
        pulls_per_round: k.
        tolerance: Maximum distance between `value` and the optimum.
        max_sweeps: Maximum number of sweeps.
        memory_limit: Maximum size of the values in bytes.

    Raises:
        EnvzooError: An invalid table, more states than fit (the message names the memory they would need), or no
            convergence within `max_sweeps`.
    """
    table = check_payoffs(payoffs, satiation, allow_nonmonotone=True).copy()
    arms, states = table.shape
    check_pulls_per_round(pulls_per_round, arms)
    check_count("max_sweeps", max_sweeps, 1)
    if not tolerance > 0:
        raise EnvzooError(f"tolerance is {tolerance}; expected a positive number")
    product = states**arms
    if product * BYTES_PER_STATE > memory_limit:
        raise EnvzooError(
            f"exact planning of {arms} arms with {states} states has {float(product):.3g} product states and needs "
            f"{_size(product * BYTES_PER_STATE)} of memory, but memory_limit is {_size(memory_limit)}; expected fewer "
            "arms or states, or the relaxation lsd_lp"
        )
    tables, subsets = _tables(table, satiation), _subsets(arms, pulls_per_round)
    values, sweeps, low, high = _iterate(*tables, subsets, product, float(tolerance), int(max_sweeps))
    if high - low > tolerance:
        raise EnvzooError(
            f"relative value iteration has bracketed the optimum between {low} and {high} after {sweeps} sweeps, wider "
            f"than the tolerance {tolerance}; allow more sweeps or a larger tolerance"
        )
    value, cycle = _follow(table, satiation, tables, subsets, values)
    high = max(high, value)  # rounding can put the bound one ulp below the exact mean of the cycle
    return ExactPlan(value, high, values, cycle, sweeps, table, int(satiation), int(pulls_per_round))


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{float(count):.3g} EB"


def _tables(table: np.ndarray, satiation: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return payoffs, and the change of the joint state's number by a rest and by pulling instead, (arms, states).

    The number of a joint state has one digit per arm, its column, with arm 0 the most significant.
    """
    arms, states = table.shape
    rested, pulled = transitions(satiation, states - satiation)
    stride = states ** np.arange(arms - 1, -1, -1, dtype=np.int64)[:, None]
    return table, stride * (rested - np.arange(states)), stride * (pulled - rested)


def _subsets(arms: int, k: int) -> np.ndarray:
    """Return all sets of at most k arms, (sets, k) int64 padded with -1; the empty set first."""
    chosen = [subset for size in range(k + 1) for subset in combinations(range(arms), size)]
    return np.array([(*subset, *[-1] * (k - len(subset))) for subset in chosen], np.int64)


@njit(cache=True, inline="always")
def _best(payoffs, pull, subsets, values, base, columns):
    """Find the best set of arms in a joint state: its number, and its reward plus relative value."""
    chosen, most = 0, values[base]
    for a in range(1, subsets.shape[0]):
        reward, after = 0.0, base
        for j in range(subsets.shape[1]):
            arm = subsets[a, j]
            if arm < 0:
                break
            reward += payoffs[arm, columns[arm]]
            after += pull[arm, columns[arm]]
        value = reward + values[after]
        if value > most:
            chosen, most = a, value
    return chosen, most


@njit(cache=True)
def _iterate(payoffs, rest, pull, subsets, product, tolerance, limit):
    arms, states = payoffs.shape
    values, new = np.zeros(product), np.empty(product)
    columns = np.empty(arms, np.int64)
    low, high, shift = -np.inf, np.inf, 0.0
    for sweep in range(1, limit + 1):
        low, high = np.inf, -np.inf
        columns[:] = 0
        base = 0
        for arm in range(arms):
            base += rest[arm, 0]
        for s in range(product):
            _, most = _best(payoffs, pull, subsets, values, s + base, columns)
            change = most - values[s]
            low, high = min(low, change), max(high, change)
            new[s] = values[s] + DAMPING * (change - shift)
            for arm in range(arms - 1, -1, -1):  # count up: the last arm is the least significant digit
                base -= rest[arm, columns[arm]]
                columns[arm] += 1
                if columns[arm] == states:
                    columns[arm] = 0
                    base += rest[arm, 0]
                else:
                    base += rest[arm, columns[arm]]
                    break
        if high - low <= tolerance:
            return values, sweep, low, high
        values, new = new, values
        shift = 0.5 * (low + high)  # keeps the values near 0
    return values, limit, low, high


@njit(cache=True)
def _act(payoffs, rest, pull, subsets, values, columns, pulls):
    arms, states = payoffs.shape
    for run in range(columns.shape[0]):
        base = 0
        for arm in range(arms):
            base = base * states + columns[run, arm]
        for arm in range(arms):
            base += rest[arm, columns[run, arm]]
        chosen, _ = _best(payoffs, pull, subsets, values, base, columns[run])
        for j in range(subsets.shape[1]):
            if subsets[chosen, j] >= 0:
                pulls[run, subsets[chosen, j]] = True


def _follow(table, satiation, tables, subsets, values) -> tuple[float, np.ndarray]:
    """Compute the mean reward and the pulls of the cycle that the greedy policy reaches from rested arms."""
    arms, states = table.shape
    moves = transitions(satiation, states - satiation)
    columns, number = np.full((1, arms), states - 1), np.arange(arms)
    seen: dict[bytes, int] = {}
    rewards, history = [], []
    while columns.tobytes() not in seen:
        seen[columns.tobytes()] = len(history)
        pulls = np.zeros((1, arms), np.bool_)
        _act(*tables, subsets, values, columns, pulls)
        rewards.append(table[number, columns[0]][pulls[0]].sum())
        history.append(pulls[0])
        columns = moves[pulls.astype(np.int64), columns]
    first = seen[columns.tobytes()]
    return float(np.mean(rewards[first:])), np.array(history[first:])
