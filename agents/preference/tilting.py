"""The best distributions under a budget of KL divergence: exponential tilts, their curve, cumulants and rates.

For a base distribution p and rewards r on K outcomes, the tilt with multiplier lambda >= 0 is

    phi_lambda(y) = p(y) exp(lambda r(y)) / Z(lambda),    Z(lambda) = sum_y p(y) exp(lambda r(y)).

It has the largest mean reward of all distributions whose KL divergence from p is at most D(phi_lambda || p), and
it maximises E r - D(. || p) / lambda. All functions take p and r as arrays (K,), compute in float64 and in nats, and
ignore outcomes of probability 0. Source: Yang et al. 2024 (arXiv 2404.01730).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number, read_array

SUM_ERROR = 1e-9  # by how much probabilities may fail to add up to 1
TINY, HUGE = 1e-300, 1e300  # range of multipliers, in units of 1 / (range of the rewards)


class Tilt(NamedTuple):
    """A tilted distribution.

    Attributes:
        probability: (K,), the distribution.
        multiplier: lambda; infinite for the base distribution given the largest reward.
        divergence: D(phi || p) in nats.
        reward: Mean reward.
    """

    probability: np.ndarray
    multiplier: float
    divergence: float
    reward: float


def read_distribution(name: str, values: Any) -> np.ndarray:
    """Return probabilities (K,) as float64, normalised.

    Raises:
        EnvzooError: They are not finite, negative, or do not add up to 1.
    """
    array = read_array(name, values)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise EnvzooError(f"{name} is {array.dtype} of shape {array.shape}; expected finite probabilities (K,)")
    array = array.astype(np.float64)
    if (array < 0).any() or abs(array.sum() - 1) > SUM_ERROR:
        raise EnvzooError(f"{name} has the sum {array.sum():g} and minimum {array.min():g}; expected probabilities")
    return array / array.sum()


def read_rewards(probability: np.ndarray, values: Any) -> np.ndarray:
    """Return rewards (K,) as float64.

    Raises:
        EnvzooError: They are not finite, or not one for each probability.
    """
    array = read_array("the rewards", values)
    if array.shape != probability.shape or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise EnvzooError(
            f"the rewards are {array.dtype} of shape {array.shape}; expected finite numbers of shape "
            f"{probability.shape}, one for each probability"
        )
    return array.astype(np.float64)


def kl_divergence(q: np.ndarray, p: np.ndarray) -> float:
    """Compute D(q || p) in nats of distributions (K,); infinite if q has mass where p has none."""
    if ((q > 0) & (p <= 0)).any():
        return math.inf
    held = q > 0
    return float(np.sum(q[held] * (np.log(q[held]) - np.log(p[held]))))


class _Problem:
    """Base distribution and rewards on the support, shifted and scaled so that rewards lie in [-1, 0]."""

    def __init__(self, p: Any, r: Any):
        self.p = read_distribution("the base distribution", p)
        self.r = read_rewards(self.p, r)
        self.held = self.p > 0
        self.log_p, self.rewards = np.log(self.p[self.held]), self.r[self.held]
        self.most, self.least = float(self.rewards.max()), float(self.rewards.min())
        self.range = self.most - self.least
        self.scaled = (self.rewards - self.most) / (self.range or 1.0)
        self.best = self.scaled == 0

    def tilted(self, multiplier: float) -> tuple[np.ndarray, float]:
        """Return phi on the support, and log E_p exp(multiplier * scaled), for a multiplier of the scaled rewards."""
        if multiplier == math.inf:
            weight = np.where(self.best, np.exp(self.log_p), 0.0)
            return weight / weight.sum(), math.log(weight.sum())
        exponent = self.log_p + multiplier * self.scaled
        top = exponent.max()
        weight = np.exp(exponent - top)
        return weight / weight.sum(), float(top) + math.log(weight.sum())

    def mean(self, multiplier: float) -> float:
        """Return the mean scaled reward."""
        return float(self.tilted(multiplier)[0] @ self.scaled)

    def divergence(self, multiplier: float) -> float:
        """Return D(phi || p)."""
        phi, log_sum = self.tilted(multiplier)
        if multiplier == math.inf:
            return -log_sum
        return max(float(multiplier * (phi @ self.scaled) - log_sum), 0.0)

    def result(self, multiplier: float) -> Tilt:
        """Return the tilt for a multiplier of the scaled rewards."""
        phi, _ = self.tilted(multiplier)
        probability = np.zeros_like(self.p)
        probability[self.held] = phi
        own = multiplier / self.range if self.range else 0.0
        return Tilt(probability, own, self.divergence(multiplier), float(phi @ self.rewards))


def _solve(function: Callable[[float], float], low: float, high: float) -> float:
    """Find the root of an increasing function on [low, high), doubling a first guess of the bracket."""
    bound = min(1.0, high)
    while function(bound) < 0 and bound < HUGE:
        bound *= 2
    return float(brentq(function, low, bound, xtol=TINY, rtol=4 * np.finfo(float).eps, maxiter=1000))


def tilt(p: Any, r: Any, delta: float) -> Tilt:
    """Compute the distribution of largest mean reward whose KL divergence from p is at most `delta`.

    Args:
        p: Base distribution (K,).
        r: Rewards (K,).
        delta: Budget D(phi || p) in nats.

    Returns:
        The tilt that spends the budget. With a constant reward it is p itself.

    Raises:
        EnvzooError: The budget is negative, or above -log p(largest reward), which the best distribution needs.
    """
    problem = _Problem(p, r)
    delta = check_number("delta", delta, 0.0)
    largest = problem.divergence(math.inf) if problem.range else 0.0
    if problem.range and delta > largest * (1 + 1e-12):
        raise EnvzooError(
            f"delta is {delta:g} nats, but the outcomes of largest reward need only {largest:.6g}; expected a "
            "budget of at most that"
        )
    if not problem.range or delta <= problem.divergence(0.0):  # 0, or below the rounding of log Z(0)
        return problem.result(0.0)
    if delta >= largest * (1 - 1e-12):
        return problem.result(math.inf)
    return problem.result(_solve(lambda multiplier: problem.divergence(multiplier) - delta, 0.0, HUGE))


def tilt_by(p: Any, r: Any, multiplier: float) -> Tilt:
    """Compute the tilt of p with a given multiplier lambda >= 0; infinity gives p on the outcomes of largest reward."""
    problem = _Problem(p, r)
    if multiplier != math.inf:
        multiplier = check_number("the multiplier", multiplier, 0.0)
    scaled = multiplier * problem.range if problem.range else 0.0
    return problem.result(scaled)._replace(multiplier=multiplier)


def kl_reward_curve(p: Any, r: Any, multipliers: Any) -> tuple[np.ndarray, np.ndarray]:
    """Compute the KL divergences (n,) and mean rewards (n,) of the tilts with multipliers (n,).

    No distribution has a point (D(. || p), mean reward) above this curve.
    """
    tilts = [tilt_by(p, r, float(multiplier)) for multiplier in np.atleast_1d(multipliers)]
    return np.array([found.divergence for found in tilts]), np.array([found.reward for found in tilts])


def cumulant(p: Any, r: Any, t: float, multiplier: float = 0.0) -> float:
    """Compute log E_phi exp(t r) = log Z(lambda + t) - log Z(lambda) under the tilt with multiplier lambda.

    With r = log q it is t times the Renyi cross entropy of phi and q, up to sign.
    """
    problem = _Problem(p, r)
    scale = problem.range or 1.0
    top, bottom = (problem.tilted(value * scale)[1] for value in (multiplier + t, multiplier))
    return top - bottom + t * problem.most


def rate_function(p: Any, r: Any, x: float, multiplier: float = 0.0) -> float:
    """Compute the rate I(x) = sup_t (t x - cumulant(t)) of the mean reward of n outcomes of the tilt phi_lambda.

    It equals D(phi_x || phi_lambda), where phi_x is the tilt whose mean reward is x (its multiplier may be negative).
    P(mean >= x) is exp(-n I(x)) to first order in the exponent. Infinite outside the range of the rewards.
    """
    problem = _Problem(p, r)
    scale = problem.range or 1.0
    base, _ = problem.tilted(multiplier * scale)
    if x < problem.least or x > problem.most:
        return math.inf
    if x in (problem.least, problem.most):
        extreme = problem.rewards == x
        return -math.log(base[extreme].sum())
    wanted = (x - problem.most) / scale
    low = 1.0
    while problem.mean(-low) > wanted:
        low *= 2
    found = _solve(lambda value: problem.mean(value) - wanted, -low, HUGE)
    return kl_divergence(problem.tilted(found)[0], base)
