"""An index for last-switch-dependent bandits: what a pull is worth when pulls cost the relaxation's price.

At the price of a pull that the relaxation sets (its Lagrange multiplier), every arm is a problem of its own: pay the
price, or rest. Let h be its relative values. The index of arm i in state s is the advantage of a pull,

    A_i(s) = mu_i(s) - price + h_i(s after a pull) - h_i(s after a rest),

and the policy pulls the k arms of the largest index, none below 0. It is the counterpart of Whittle's index at one
common price. It has no guarantee of its own, but a model is known: the better of it and mirrored rounding has one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.agents.planners.lsd_lp import LSDPlan
from envzoo.agents.planners.lsd_rounding import Rollout, play_table
from envzoo.bandits.kernels import after_pull, after_rest
from envzoo.bandits.model import check_count

# Pulls that are neither better nor worse than a rest are made: at the price of the relaxation an arm that is played
# now and then is indifferent, and rounding errors must not keep it from being played.
LEAST_INDEX = -1e-9


@njit(cache=True)
def _advantages(table, satiation, price, anchors, index):
    """Write the indices (arms, states); `anchors` (arms,) are columns on a best cycle of each arm."""
    arms, states = table.shape
    deprivation = states - satiation
    h = np.empty(states)
    for i in range(arms):
        mu = table[i]
        gain = max(0.0, mu[0] - price)
        for n in range(1, deprivation + 1):
            total = mu[satiation + n - 1] - price
            for m in range(1, satiation + 1):
                gain = max(gain, total / (n + m))
                total += mu[satiation - m] - price
        # Longest paths to the anchor, with the gain taken off every step: no cycle is positive.
        h[:] = -np.inf
        h[anchors[i]] = 0.0
        changed = True
        for _ in range(2 * states):
            if not changed:
                break
            changed = False
            for s in range(states):
                if s != anchors[i]:
                    value = max(mu[s] - price + h[after_pull(s, satiation)], h[after_rest(s, satiation, states)])
                    if value - gain > h[s] + 1e-15:
                        h[s] = value - gain
                        changed = True
        for s in range(states):
            index[i, s] = mu[s] - price + h[after_pull(s, satiation)] - h[after_rest(s, satiation, states)]


def lagrangian_index(plan: LSDPlan, price: float | None = None) -> np.ndarray:
    """The index of every arm in every state, (arms, states).

    Args:
        plan: From `lsd_lp`.
        price: What a pull costs; None takes the plan's.
    """
    index = np.empty_like(plan.payoffs)
    anchors = plan.stationary.argmax(axis=1)
    _advantages(plan.payoffs, plan.satiation, plan.price if price is None else float(price), anchors, index)
    return index


def index_policy(plan: LSDPlan, rounds: int, *, prices: int = 13) -> tuple[Rollout, np.ndarray]:
    """Play the index policy in the model, from rested arms, at several prices; the best of them, with its index.

    At the relaxation's own price the policy rests too often where arms collide much: the pulls that collisions leave
    over are worth less. So prices from 0 to 1.2 times that one are tried. Nothing is random, so there is one run.

    Args:
        plan: From `lsd_lp`.
        rounds: Length of the run.
        prices: How many; 1 takes the relaxation's only.

    Returns:
        The run, and the index (arms, states) that gave it; `play_table` plays it with `LEAST_INDEX`.

    Raises:
        EnvzooError: Not a positive number of rounds or prices.
    """
    check_count("prices", prices, 1)
    best = None
    for share in [1.0] if prices == 1 else np.linspace(0.0, 1.2, prices):
        index = lagrangian_index(plan, share * plan.price)
        run = play_table(plan.payoffs, index, LEAST_INDEX, plan.satiation, rounds, plan.pulls_per_round)
        if best is None or run.rewards[0] > best[0].rewards[0]:
            best = run, index
    return best
