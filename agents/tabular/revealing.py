"""Tools of paper 45: how strongly observations reveal states, uniformity tests, and locks played by counts."""

from __future__ import annotations

import math

import numpy as np

from envzoo.agents.planners.tabular.linear_program import left_inverse_norm
from envzoo.tabular import FinitePOMDP
from envzoo.tabular.revealing_lock import Lock


def reached_states(model: FinitePOMDP) -> np.ndarray:
    """Mark the states that some policy can come to, bool (S,)."""
    found = model.initial > 0
    while True:
        more = found | (model.p[found & ~model.terminal].sum(axis=(0, 1)) > 0)
        if (more == found).all():
            return found
        found = more


def revealing_constant(model: FinitePOMDP, steps: int = 1) -> float:
    """Compute alpha, 1 over the smallest norm of a left inverse of the emission matrix; 0 if there is none.

    With `steps=2`, the matrix P(o, o' | s, do a) with rows for every action, observation and next observation. Only
    states that can be reached count.
    """
    states = reached_states(model)
    matrix = model.emission[states].T
    if steps == 2:
        following = np.einsum("sat,tp->sap", model.p, model.emission)[states]
        joint = np.einsum("so,sap->aops", model.emission[states], following)
        matrix = joint.reshape(-1, states.sum())
        matrix = matrix[matrix.any(axis=1)]
    return 1.0 / left_inverse_norm(matrix)


def collision_statistic(counts: np.ndarray) -> np.ndarray:
    """Compute the test of uniformity sum_j ((N_j - n / N)^2 - N_j) / (n / N) of counts (..., N).

    Its mean is -1 (0 up to a constant) under the uniform law and grows by about (n - 1) times the squared tilt.
    """
    counts = np.asarray(counts, np.float64)
    mean = counts.sum(axis=-1, keepdims=True) / counts.shape[-1]
    return (((counts - mean) ** 2 - counts) / np.maximum(mean, 1e-300)).sum(axis=-1)


def probes_needed(symbols: int, tilt: float, episodes: float, factor: float = 8.0) -> int:
    """Return the number of samples per candidate, factor sqrt(N ln T) / tilt^2, with tilt = gap * signal."""
    return math.ceil(factor * math.sqrt(symbols * math.log(max(episodes, 3.0))) / tilt**2)


def sample_symbols(lock: Lock, n: int, right: bool, generator: np.random.Generator, size: int = 1) -> np.ndarray:
    """Draw the counts (size, N) of the symbols that n probes of a candidate show: tilted if it is right, else uniform.

    The counts are sufficient, so that 10^9 probes cost nothing.
    """
    tilt = lock.gap * lock.signal * lock.signs if right else 0.0
    return generator.multinomial(n, (1 + tilt * np.ones(len(lock.signs))) / len(lock.signs), size)


def explore_then_commit(lock: Lock, episodes: float, generator: np.random.Generator, runs: int) -> np.ndarray:
    """Play `CollisionETC` by counts; returns the expected regret (runs,) given what the tests found.

    Arms first, then one digit of the code after the other; each candidate is probed n times, and the one with the
    largest statistic is kept. A probe costs the whole value in the mode "paid" and gap / 2 in the mode "free".
    """
    n = probes_needed(len(lock.signs), lock.gap * lock.signal, episodes)
    arms, actions, width = lock.leaves * lock.actions, lock.actions, lock.length
    alive = np.ones(runs, bool)  # whether everything found up to now is right
    for stage in range(width + 1):
        candidates = arms if stage == 0 else actions
        wrong = collision_statistic(sample_symbols(lock, n, False, generator, runs * (candidates - 1)))
        best_wrong = wrong.reshape(runs, candidates - 1).max(axis=1)
        alive &= collision_statistic(sample_symbols(lock, n, True, generator, runs)) > best_wrong
    probes = min(float(n) * (arms + width * actions), episodes)
    each = 0.5 + lock.gap / 2 if lock.mode == "paid" else lock.gap / 2
    rest = np.where(alive, 0.0, lock.gap / 2) if probes < episodes else np.zeros(runs)
    return probes * each + (episodes - probes) * rest


def eliminate_policies(lock: Lock, episodes: float, generator: np.random.Generator, runs: int) -> np.ndarray:
    """Play reward-only UCB over all open-loop policies by counts; returns the expected regret (runs,).

    Improved UCB (Auer and Ortner, 2010): in phase m all policies that are left are played until each has
    2 ln(T d^2) / d^2 plays, d = 2^-m, and those whose mean is more than two radii below the best are dropped. One
    policy wins with probability 1/2 + gap / 2, all others with 1/2, whatever they observe.
    """
    policies = lock.leaves * lock.actions * lock.actions**lock.length
    regret = np.zeros(runs)
    for run in range(runs):
        left, best_in, plays, good, wins = float(episodes), True, 0, 0, np.zeros(policies - 1, np.int64)
        for phase in range(60):
            d = 2.0**-phase
            target = math.ceil(2 * math.log(max(episodes * d * d, 2.0)) / d**2)
            more, alive = target - plays, len(wins) + best_in
            if alive == 1 or more * alive > left:
                break
            plays, left = target, left - more * alive
            regret[run] += more * len(wins) * lock.gap / 2
            wins += generator.binomial(more, 0.5, len(wins))
            radius = math.sqrt(math.log(max(episodes * d * d, 2.0)) / (2 * plays))
            if best_in:
                good += generator.binomial(more, 0.5 + lock.gap / 2)
            top = max(wins.max(initial=0), good if best_in else 0) / plays
            wins = wins[wins / plays >= top - 2 * radius]
            best_in = best_in and good / plays >= top - 2 * radius
        # What is left of the episodes is shared evenly by the policies that are left.
        regret[run] += left * lock.gap / 2 * len(wins) / (len(wins) + best_in)
    return regret


def samples_to_identify(
    symbols: int, tilt: float, arms: int, generator: np.random.Generator, *, share: float = 0.9, runs: int = 1_000
) -> float:
    """Find the number of samples per arm at which the collision test finds the right one of `arms` in 90% of runs.

    By bisection in logarithms to 3%, with fresh samples for each size.
    """
    signs = np.repeat([1.0, -1.0], symbols // 2)
    tilted = (1 + tilt * signs) / symbols

    def found(n: int) -> float:
        right = collision_statistic(generator.multinomial(n, tilted, runs))
        wrong = collision_statistic(generator.multinomial(n, np.full(symbols, 1 / symbols), (runs, arms - 1)))
        return float((right > wrong.max(axis=1)).mean())

    low, high = 1.0, 2.0
    while found(math.ceil(high)) < share:
        low, high = high, 2 * high
    while high / low > 1.03:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if found(math.ceil(middle)) >= share else (middle, high)
    return math.sqrt(low * high)
