"""The exact law of the best of N samples: its levels of reward, mean reward and KL divergences.

The best of N samples y ~ p has the distribution function F(v)^N over the levels v of the reward, and p's own
distribution within a level, because ties are broken at random. For sequences of m independent tokens with an additive
reward, the law of the sum is computed exactly: by convolution if the rewards lie on a lattice, otherwise by summing
over the counts of each token. Source: Yang et al. 2024 (arXiv 2404.01730); the bound is that of Beirami et al. 2024
(arXiv 2401.01879).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.special import gammaln

from envzoo.agents.preference.tilting import cumulant, read_distribution, read_rewards, tilt_by
from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number, check_whole

UNIT = 1e-9  # rewards closer than this are one level
MOST_CELLS = 60_000  # of a lattice of sums
MOST_TYPES = 5_000_000
LARGEST_N = 1e300


class Levels(NamedTuple):
    """A distribution over levels of reward.

    Attributes:
        value: (L,), rewards in ascending order.
        probability: (L,), float64.
    """

    value: np.ndarray
    probability: np.ndarray


class BestOfNLaw(NamedTuple):
    """The law of the best of N.

    Attributes:
        value: (L,), levels of the reward in ascending order.
        base: (L,), their probabilities under the base distribution.
        probability: (L,), their probabilities under best-of-N.
        reward: Mean reward of best-of-N.
        divergence: D(best-of-N || base) in nats.
    """

    value: np.ndarray
    base: np.ndarray
    probability: np.ndarray
    reward: float
    divergence: float


def levels(p: Any, r: Any, length: int = 1) -> Levels:
    """Compute the law of the sum of the rewards of `length` independent outcomes.

    Args:
        p: Distribution of one outcome (K,).
        r: Rewards (K,); those within 1e-9 of each other count as equal.
        length: Number of outcomes (m).

    Raises:
        EnvzooError: The rewards lie on no lattice of moderate size, and there are too many counts to go through.
    """
    p = read_distribution("the base distribution", p)
    rewards = read_rewards(p, r)[p > 0]
    length = check_whole("length", length, 1)
    own, first, where = np.unique(np.rint(rewards / UNIT).astype(np.int64), return_index=True, return_inverse=True)
    value, mass = rewards[first], np.bincount(where, p[p > 0])
    if length == 1 or own.size == 1:
        return Levels(length * value, mass)
    cells = (own - own[0]) // int(np.gcd.reduce(own - own[0]))
    if length * int(cells[-1]) < MOST_CELLS:
        line = np.zeros(int(cells[-1]) + 1)
        line[cells] = mass
        total = _power(line, length)
        held = np.flatnonzero(total)
        return Levels(length * value[0] + held * ((value[-1] - value[0]) / cells[-1]), total[held])
    count = math.comb(length + own.size - 1, own.size - 1)
    if count > MOST_TYPES:
        raise EnvzooError(
            f"sums of {length} rewards of {own.size} kinds have {count:.2g} combinations and no common step; expected "
            f"at most {MOST_TYPES}, or rewards that are multiples of a common step"
        )
    return _by_counts(value, mass, length)


def _power(line: np.ndarray, exponent: int) -> np.ndarray:
    """Convolve a line of masses with itself, by repeated squaring. All terms are positive, so no digits cancel."""
    result = np.ones(1)
    while exponent:
        if exponent & 1:
            result = np.convolve(result, line)
        exponent >>= 1
        if exponent:
            line = np.convolve(line, line)
    return result


def _by_counts(value: np.ndarray, mass: np.ndarray, length: int) -> Levels:
    """Sum multinomial probabilities over all counts (n_1, ..., n_K) of the outcomes."""
    left, total = np.array([length]), np.zeros(1)
    log_prob = np.array([gammaln(length + 1.0)])
    for reward, log_mass in zip(value[:-1], np.log(mass[:-1]), strict=True):
        taken = np.concatenate([np.arange(n + 1) for n in left])
        parent = np.repeat(np.arange(left.size), left + 1)
        left, total = left[parent] - taken, total[parent] + taken * reward
        log_prob = log_prob[parent] + taken * log_mass - gammaln(taken + 1.0)
    total = total + left * value[-1]
    log_prob = log_prob + left * math.log(mass[-1]) - gammaln(left + 1.0)
    _, first, where = np.unique(np.rint(total / UNIT).astype(np.int64), return_index=True, return_inverse=True)
    return Levels(total[first], np.bincount(where, np.exp(log_prob)))


def best_of_n_law(p: Any, r: Any, n: float, length: int = 1) -> BestOfNLaw:
    """Compute the law of the best of n samples, each a sequence of `length` independent outcomes.

    Args:
        p: Distribution of one outcome (K,).
        r: Rewards (K,); the reward of a sequence is their sum.
        n: Number of samples, at least 1; also a real number such as exp(64), for which F^n is a distribution as well.
        length: Number of outcomes (m).

    Raises:
        EnvzooError: n is below 1 or above 1e300, or `levels` refuses the rewards.
    """
    n = check_number("n", n, 1.0, LARGEST_N)
    found = levels(p, r, length)
    law = best_of_levels(found.probability, n)
    held = law > 0
    ratio = np.log(law[held]) - np.log(found.probability[held])
    return BestOfNLaw(found.value, found.probability, law, float(law @ found.value), float(law[held] @ ratio))


def best_of_levels(probability: np.ndarray, n: float) -> np.ndarray:
    """Compute P(best of n has level k) = F_k^n - F_(k-1)^n from probabilities (L,) of ascending levels.

    Near the top, F is computed as 1 minus the tail, whose small probabilities n multiplies.
    """
    below = np.cumsum(probability)
    above = np.append(np.cumsum(probability[::-1])[::-1][1:], 0.0)  # P(level > k)
    with np.errstate(divide="ignore"):
        log_cdf = np.where(above < 0.5, np.log1p(-np.minimum(above, 0.5)), np.log(below))
    power = n * np.minimum(log_cdf, 0.0)
    before = np.append(-math.inf, power[:-1])
    with np.errstate(invalid="ignore"):
        gap = np.where(np.isneginf(before), -math.inf, before - power)  # log of (F_(k-1) / F_k)^n
    return np.exp(power) * -np.expm1(np.minimum(gap, 0.0))


def best_of_n_distribution(p: Any, r: Any, n: float) -> np.ndarray:
    """Compute the distribution (K,) of the best of n outcomes; ties are broken at random."""
    p = read_distribution("the base distribution", p)
    law = best_of_n_law(p, r, n)
    rank = np.abs(law.value[None, :] - read_rewards(p, r)[:, None]).argmin(1)
    return np.where(p > 0, p / law.base[rank] * law.probability[rank], 0.0)


def best_of_n_bound(n: float) -> float:
    """Compute log n - (n - 1) / n, an upper bound of D(best-of-n || base) that only laws without ties reach."""
    return math.log(n) - (n - 1) / n


def divergence_from_tilt(law: BestOfNLaw, p: Any, r: Any, multiplier: float, length: int = 1) -> float:
    """Compute D(best-of-N || phi^m), where phi^m are `length` independent outcomes of the tilt with a multiplier.

    Both have p's distribution within a level of reward, so their levels decide.
    """
    tilt_by(p, r, multiplier)  # checks the arguments
    log_tilt = multiplier * law.value - length * cumulant(p, r, multiplier)
    held = law.probability > 0
    ratio = np.log(law.probability[held]) - np.log(law.base[held]) - log_tilt[held]
    return float(law.probability[held] @ ratio)
