"""Mirrored rounding: play a plan of the relaxation when only k arms can be pulled per round (arXiv 2306.00338).

Every arm has a *virtual* state that moves according to the plan, independently of the other arms: in virtual state s it
is active with the plan's probability q(s). The k best active arms are pulled; the other active arms rest, but their
virtual states move as if they had been pulled. Real pulls are therefore a subset of virtual ones, and a real state is
never below the virtual one:

- a virtual state n > 0 means no virtual pull for n rounds, hence no real one, hence a real state of at least n;
- with a virtual state -m and a real one -j the last j rounds had real, hence virtual pulls, so j <= m.

Monotone payoffs are therefore at least those that the plan assumes, and collisions of independent arms are so rare that
the fraction 1 - k^k e^-k / k! of the relaxation is kept (1 - 1/e for k = 1).

The kernels step a batch of runs by one round, for agents; `mirrored_rounding` simulates whole runs in the model. States
are columns of the payoff table (see `envzoo.bandits.model`); tables have shape (P, arms, states) with one row for all
runs (P = 1) or one per run.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numba import njit

from envzoo.agents.bandits.lsd_lp import LSDPlan
from envzoo.bandits.kernels import after_pull, after_rest
from envzoo.bandits.model import check_count, check_payoffs, check_pulls_per_round
from envzoo.errors import EnvzooError, unknown
from envzoo.kernel.stream import keys, uniform

SELECT = ("virtual", "real")
FILL = ("none", "resync")


class Rollout(NamedTuple):
    """Result of simulated runs.

    Attributes:
        rewards: (runs,) mean payoff per round.
        pulls: (runs, arms) number of pulls of each arm.
        violations: (runs,) number of rounds and arms in which the real state was below the virtual one; 0 by the lemma.
            Policies without virtual states have zeros.
    """

    rewards: np.ndarray
    pulls: np.ndarray
    violations: np.ndarray

    @property
    def invariant(self) -> bool:
        """Whether no real state was ever below its virtual state, in any round of any run."""
        return not self.violations.any()


# ---------------------------------------------------------------------------- kernels


@njit(cache=True)
def draw_virtual(stationary, real, streams, where, virtual):
    """Draw the virtual states of the runs marked in `where` from the plan's stationary distribution.

    A virtual state above the real one is lowered to it, so that the lemma also holds for runs that do not start rested.

    Args:
        stationary: (P, arms, states) float64.
        real: (runs, arms) int64 columns.
        streams: (runs, 2) uint64, see `envzoo.kernel.stream`.
        where: (runs,) bool.
        virtual: (runs, arms) int64 columns, written.
    """
    arms, states = stationary.shape[1:]
    for run in range(where.size):
        if where[run]:
            law = stationary[min(run, stationary.shape[0] - 1)]
            for arm in range(arms):
                left, column = uniform(streams, run), -1
                for s in range(states):
                    if law[arm, s] > 0.0:
                        column = s
                        left -= law[arm, s]
                        if left < 0.0:
                            break
                virtual[run, arm] = min(column, real[run, arm])


@njit(cache=True)
def mirrored_round(payoffs, activation, satiation, k, by_real, fill, real, virtual, streams, where, pulls):
    """Choose the pulls of one round and move the virtual states; the environment moves the real ones.

    Args:
        payoffs: (P, arms, states) float64, priorities of the arms.
        activation: (P, arms, states) float64, q.
        satiation: Number of negative states.
        k: Maximum number of pulls per round.
        by_real: Whether active arms are selected by their real payoff instead of the virtual one.
        fill: (P,) bool, whether free pulls go to the inactive arms of largest real payoff, whose virtual states move
            along.
        real: (runs, arms) int64 columns before the round.
        virtual: (runs, arms) int64 columns, updated.
        streams: (runs, 2) uint64.
        where: (runs,) bool, the runs to step.
        pulls: (runs, arms) bool, written.
    """
    arms, states = payoffs.shape[1:]
    active = np.empty(arms, np.bool_)
    for run in range(where.size):
        if not where[run]:
            continue
        mu = payoffs[min(run, payoffs.shape[0] - 1)]
        q = activation[min(run, activation.shape[0] - 1)]
        for arm in range(arms):
            p = q[arm, virtual[run, arm]]
            active[arm] = p >= 1.0 or (p > 0.0 and uniform(streams, run) < p)
            pulls[run, arm] = False
        left = k
        for _ in range(k):
            best, most = -1, -1.0
            for arm in range(arms):
                if active[arm] and not pulls[run, arm]:
                    value = mu[arm, real[run, arm] if by_real else virtual[run, arm]]
                    if value > most:
                        best, most = arm, value
            if best < 0:
                break
            pulls[run, best] = True
            left -= 1
        if fill[min(run, fill.size - 1)]:
            for _ in range(left):
                best, most = -1, 0.0
                for arm in range(arms):
                    if not active[arm] and mu[arm, real[run, arm]] > most:
                        best, most = arm, mu[arm, real[run, arm]]
                if best < 0:
                    break
                pulls[run, best] = True
                active[best] = True
        for arm in range(arms):
            v = virtual[run, arm]
            virtual[run, arm] = after_pull(v, satiation) if active[arm] else after_rest(v, satiation, states)


@njit(cache=True)
def table_round(table, least, k, real, where, pulls):
    """Pull in every run the k arms with the largest entries at their real states, among entries above `least`.

    Args:
        table: (P, arms, states) float64: the payoffs for oracle greedy, or an index.
        least: Entries must exceed this to be pulled.
        k: Maximum number of pulls per round.
        real: (runs, arms) int64 columns.
        where: (runs,) bool, the runs to step.
        pulls: (runs, arms) bool, written.
    """
    arms = table.shape[1]
    for run in range(where.size):
        if not where[run]:
            continue
        row = table[min(run, table.shape[0] - 1)]
        for arm in range(arms):
            pulls[run, arm] = False
        for _ in range(k):
            best, most = -1, least
            for arm in range(arms):
                if not pulls[run, arm] and row[arm, real[run, arm]] > most:
                    best, most = arm, row[arm, real[run, arm]]
            if best < 0:
                break
            pulls[run, best] = True


@njit(cache=True)
def settle(truth, satiation, real, pulls, earned, counts):
    """Add payoffs of a round to `earned` (runs,) and pulls to `counts` (runs, arms), and move the real states."""
    arms, states = truth.shape
    for run in range(real.shape[0]):
        for arm in range(arms):
            column = real[run, arm]
            if pulls[run, arm]:
                earned[run] += truth[arm, column]
                counts[run, arm] += 1
                real[run, arm] = after_pull(column, satiation)
            else:
                real[run, arm] = after_rest(column, satiation, states)


@njit(cache=True)
def _play_mirrored(truth, payoffs, activation, satiation, k, by_real, fill, rounds, real, virtual, streams):
    runs, arms = real.shape
    earned, counts = np.zeros(runs), np.zeros((runs, arms), np.int64)
    violations = np.zeros(runs, np.int64)
    pulls, where = np.zeros((runs, arms), np.bool_), np.ones(runs, np.bool_)
    for _ in range(rounds):
        for run in range(runs):
            for arm in range(arms):
                violations[run] += real[run, arm] < virtual[run, arm]
        mirrored_round(payoffs, activation, satiation, k, by_real, fill, real, virtual, streams, where, pulls)
        settle(truth, satiation, real, pulls, earned, counts)
    for run in range(runs):
        for arm in range(arms):
            violations[run] += real[run, arm] < virtual[run, arm]
    return earned / rounds, counts, violations


@njit(cache=True)
def _play_table(truth, table, least, satiation, k, rounds, real):
    runs, arms = real.shape
    earned, counts = np.zeros(runs), np.zeros((runs, arms), np.int64)
    pulls, where = np.zeros((runs, arms), np.bool_), np.ones(runs, np.bool_)
    for _ in range(rounds):
        table_round(table, least, k, real, where, pulls)
        settle(truth, satiation, real, pulls, earned, counts)
    return earned / rounds, counts


# ---------------------------------------------------------------------------- whole runs


def new_streams(seed: int, runs: int) -> np.ndarray:
    """Create (runs, 2) uint64 random streams from a seed.

    Raises:
        EnvzooError: The seed is not a non-negative integer.
    """
    check_count("seed", seed, 0)
    streams = np.zeros((runs, 2), np.uint64)
    streams[:, 0] = keys(np.random.SeedSequence(int(seed)).generate_state(runs, np.uint64))
    return streams


def mirrored_rounding(
    plan: LSDPlan,
    rounds: int,
    *,
    runs: int = 1,
    seed: int = 0,
    select: Literal["virtual", "real"] = "virtual",
    fill: Literal["none", "resync"] = "none",
    payoffs: Any = None,
) -> Rollout:
    """Simulate a plan with mirrored rounding in the model, from rested arms and with virtual states of random phase.

    Args:
        plan: From `lsd_lp`.
        rounds: Length of every run.
        runs: Number of independent runs; each draws its phases once, so average over runs, not only over rounds.
        seed: Seed of the phases and of random activations.
        select: Priority of active arms: by the payoff of their virtual or of their real state. Both keep the guarantee.
        fill: Use of pulls for which no arm is active. "none" leaves them unused; "resync" pulls the inactive arm of
            largest current payoff and moves its virtual state along. The invariant holds with both, the guarantee is
            proved for "none".
        payoffs: (arms, states) true mean payoffs, if the plan was made for others.

    Raises:
        EnvzooError: The number of rounds or runs is not positive, an unknown option, or payoffs of another shape.
    """
    check_rollout(rounds, runs)
    if select not in SELECT:
        raise unknown("selection of mirrored rounding", select, SELECT)
    if fill not in FILL:
        raise unknown("fill of mirrored rounding", fill, FILL)
    truth = plan.payoffs if payoffs is None else check_payoffs(payoffs, plan.satiation, allow_nonmonotone=True)
    if truth.shape != plan.payoffs.shape:
        raise EnvzooError(f"payoffs have the shape {truth.shape}; the plan is for {plan.payoffs.shape}")
    return play_mirrored(plan, rounds, new_streams(seed, runs), select=select, fill=fill, payoffs=truth)[0]


def play_mirrored(
    plan: LSDPlan,
    rounds: int,
    streams: np.ndarray,
    *,
    select: str = "virtual",
    fill: str = "none",
    payoffs: np.ndarray | None = None,
) -> tuple[Rollout, np.ndarray]:
    """Simulate as `mirrored_rounding` does, without checks, with streams (runs, 2).

    Also returns the first virtual states (runs, arms).
    """
    truth = plan.payoffs if payoffs is None else payoffs
    real = np.full((len(streams), len(truth)), truth.shape[1] - 1)
    virtual = np.empty_like(real)
    draw_virtual(plan.stationary[None], real, streams, np.ones(len(streams), bool), virtual)
    first = virtual.copy()
    played = _play_mirrored(
        truth,
        plan.payoffs[None],
        plan.activation[None],
        plan.satiation,
        plan.pulls_per_round,
        select == "real",
        np.array([fill == "resync"]),
        int(rounds),
        real,
        virtual,
        streams,
    )
    return Rollout(*played), first


def oracle_greedy(payoffs: Any, satiation: int, rounds: int, *, pulls_per_round: int = 1) -> Rollout:
    """Simulate the myopic policy with known payoffs, from rested arms; ties go to the first arm.

    The simulation is deterministic, so there is one run.

    Args:
        payoffs: (arms, states), monotone or not.
        satiation: Number of negative states.
        rounds: Length of the run.
        pulls_per_round: k.

    Raises:
        EnvzooError: An invalid table or number.
    """
    table = check_payoffs(payoffs, satiation, allow_nonmonotone=True)
    return play_table(table, table, 0.0, satiation, rounds, pulls_per_round)


def play_table(
    payoffs: np.ndarray, table: np.ndarray, least: float, satiation: int, rounds: int, pulls_per_round: int = 1
) -> Rollout:
    """Simulate, from rested arms, pulling the k arms with the largest entries of `table` above `least`."""
    check_rollout(rounds, 1)
    check_pulls_per_round(pulls_per_round, len(payoffs))
    real = np.full((1, len(payoffs)), payoffs.shape[1] - 1)
    rewards, pulls = _play_table(payoffs, table[None], least, satiation, pulls_per_round, int(rounds), real)
    return Rollout(rewards, pulls, np.zeros(1, np.int64))


def check_rollout(rounds: int, runs: int) -> None:
    """Raise EnvzooError unless both are positive integers."""
    check_count("rounds", rounds, 1)
    check_count("runs", runs, 1)
