"""Importance sampling and doubly robust estimates of a policy's value from episodes of another policy.

All functions take the rows of N transitions ordered by episode: `starts` (E,) the first row of each episode, `rewards`
(N,), and `target` and `behaviour` (N,), the probabilities (or densities) of the logged actions under both policies.
Returns are discounted from the first step. Sources: Precup, Sutton and Singh (2000); Jiang and Li (arXiv 1511.03722).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envzoo.agents.offline.ope.linear import check_discount
from envzoo.errors import EnvzooError


class Episodes(NamedTuple):
    """Checked arrays: first rows (E,), step within the episode (N,), episode (N,), ratio (N,) and rewards (N,)."""

    starts: np.ndarray
    step: np.ndarray
    episode: np.ndarray
    ratio: np.ndarray
    rewards: np.ndarray

    def cumulative(self) -> np.ndarray:
        """Compute the product of the ratios from the first step of the episode to each row, (N,)."""
        products = np.empty(len(self.ratio))
        for rows in np.split(np.arange(len(self.ratio)), self.starts[1:]):
            products[rows] = np.cumprod(self.ratio[rows])
        return products


def check_support(target: np.ndarray, behaviour: np.ndarray) -> None:
    """Refuse a target policy that takes actions which the behaviour policy never takes.

    Args:
        target: (S, A) probabilities.
        behaviour: (S, A) probabilities.

    Raises:
        EnvzooError: Some action has a positive probability under the target only; the sentence names it.
    """
    outside = np.argwhere((np.asarray(target) > 0) & (np.asarray(behaviour) <= 0))
    if len(outside):
        state, action = outside[0]
        raise EnvzooError(
            f"the target policy takes action {action} in state {state}, which the behaviour policy never takes: "
            "importance sampling cannot evaluate it"
        )


def check_episodes(starts: np.ndarray, rewards: np.ndarray, target: np.ndarray, behaviour: np.ndarray) -> Episodes:
    """Check the arrays, and compute the ratios.

    Raises:
        EnvzooError: Arrays that do not fit together, or a logged action that the behaviour policy never takes.
    """
    starts = np.asarray(starts)
    rewards, target, behaviour = (np.asarray(x, np.float64) for x in (rewards, target, behaviour))
    n = len(rewards)
    if rewards.shape != (n,) or target.shape != (n,) or behaviour.shape != (n,) or n == 0:
        raise EnvzooError(
            f"rewards, target and behaviour have the shapes {rewards.shape}, {target.shape} and {behaviour.shape}; "
            "expected three arrays (N,)"
        )
    if starts.ndim != 1 or starts.dtype.kind not in "iu" or starts[0] != 0 or (np.diff(starts) <= 0).any():
        raise EnvzooError("starts are the first rows of the episodes, increasing from 0")
    if starts[-1] >= n:
        raise EnvzooError(f"starts names row {starts[-1]}, but there are {n} rows")
    if not (np.isfinite(behaviour).all() and (behaviour > 0).all()):
        row = int(np.flatnonzero(~(behaviour > 0) | ~np.isfinite(behaviour))[0])
        raise EnvzooError(
            f"the behaviour policy's probability of the logged action of row {row} is {behaviour[row]:g}; expected a "
            "positive number"
        )
    if not (np.isfinite(target).all() and (target >= 0).all()):
        raise EnvzooError("target probabilities are finite numbers of at least 0")
    lengths = np.diff(np.append(starts, n))
    episode = np.repeat(np.arange(len(starts)), lengths)
    return Episodes(starts, np.arange(n) - starts[episode], episode, target / behaviour, rewards)


def importance_sampling(
    starts: np.ndarray,
    rewards: np.ndarray,
    target: np.ndarray,
    behaviour: np.ndarray,
    gamma: float,
    *,
    per_decision: bool = False,
    weighted: bool = False,
) -> float:
    """Estimate the value of the target policy by importance sampling.

    Args:
        starts: See the module, as for the other arrays.
        rewards: (N,).
        target: (N,).
        behaviour: (N,).
        gamma: Discount factor.
        per_decision: Weight every reward by the ratios up to its step, instead of those of the whole episode; both are
            unbiased, and this one has less variance.
        weighted: Divide by the mean weight instead of the number of episodes; biased, and much less variable.

    Raises:
        EnvzooError: See `check_episodes`; or all weights are 0 with `weighted`.
    """
    check_discount(gamma)
    e = check_episodes(starts, rewards, target, behaviour)
    products, discounted = e.cumulative(), e.rewards * float(gamma) ** e.step
    count = len(e.starts)
    if not per_decision:
        weights = np.multiply.reduceat(e.ratio, e.starts)
        returns = np.add.reduceat(discounted, e.starts)
        total = weights.sum() if weighted else count
        _require_weight(total)
        return float((weights * returns).sum() / total)
    if not weighted:
        return float((products * discounted).sum() / count)
    # Step by step: the weights of a step are those of the episodes that reach it; ended ones keep their last weight.
    last = np.append(e.starts[1:], len(e.ratio)) - 1
    value = 0.0
    for t in range(int(e.step.max()) + 1):
        rows = np.flatnonzero(e.step == t)
        ended = last[e.step[last] < t]
        total = products[rows].sum() + products[ended].sum()
        _require_weight(total)
        value += (products[rows] * discounted[rows]).sum() / total
    return float(value)


def _require_weight(total: float) -> None:
    if not total > 0:
        raise EnvzooError("all importance weights are 0: the target policy never takes the logged actions")


def doubly_robust(
    starts: np.ndarray,
    rewards: np.ndarray,
    target: np.ndarray,
    behaviour: np.ndarray,
    gamma: float,
    *,
    q: np.ndarray,
    v: np.ndarray,
) -> float:
    """Estimate the value by V(s_0) + sum_t gamma^t rho_(0:t) (r_t + gamma V(s_(t+1)) - Q(s_t, a_t)).

    Unbiased for every Q and V = E_target[Q], also where they are wrong; with the true ones of little variance.

    Args:
        starts: See the module, as for the other arrays.
        rewards: (N,).
        target: (N,).
        behaviour: (N,).
        gamma: Discount factor.
        q: (N,), Q(s_t, a_t) of a model or another estimate.
        v: (N,), V(s_t); beyond the last row of an episode V counts as 0.

    Raises:
        EnvzooError: See `check_episodes`; or q and v of other lengths.
    """
    check_discount(gamma)
    e = check_episodes(starts, rewards, target, behaviour)
    q, v = np.asarray(q, np.float64), np.asarray(v, np.float64)
    if q.shape != e.rewards.shape or v.shape != e.rewards.shape:
        raise EnvzooError(f"q and v have the shapes {q.shape} and {v.shape}; expected {e.rewards.shape}")
    following = np.append(v[1:], 0.0)
    following[np.append(e.starts[1:], len(v)) - 1] = 0.0
    error = e.rewards + gamma * following - q
    corrections = e.cumulative() * float(gamma) ** e.step * error
    return float((v[e.starts].sum() + corrections.sum()) / len(e.starts))
