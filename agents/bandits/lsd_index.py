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

from envzoo.agents.bandits.lsd_lp import LSDPlan
from envzoo.agents.bandits.lsd_rounding import Rollout, play_table
from envzoo.bandits.kernels import after_pull, after_rest
from envzoo.bandits.model import check_count

# Pulls that are neither better nor worse than a rest are made: at the price of the relaxation an arm that is played
# now and then is indifferent, and rounding errors must not keep it from being played.
LEAST_INDEX = -1e-9
TIE = 1e-12  # gains closer than this are equal


@njit(cache=True)
def index_table(table, satiation, price, index):
    """Write the indices (arms, states)."""
    arms, states = table.shape
    deprivation = states - satiation
    h = np.empty(states)
    for i in range(arms):
        mu = table[i]
        # The best cycle at this price, and a state on it: 1 for all that rest and pull. Those come first, so that an
        # arm that may as well rest for ever is looked at from a cycle in which it is pulled.
        gain, anchor = -np.inf, satiation
        for n in range(1, deprivation + 1):
            total = mu[satiation + n - 1] - price
            for m in range(1, satiation + 1):
                gain = max(gain, total / (n + m))
                total += mu[satiation - m] - price
        if mu[0] - price > gain + TIE:
            gain, anchor = mu[0] - price, 0
        if gain + TIE < 0.0:
            gain, anchor = 0.0, states - 1
        # Longest paths to that state, with the gain taken off every step: no cycle is positive.
        h[:] = -np.inf
        h[anchor] = 0.0
        for _ in range(2 * states):
            changed = False
            for s in range(states):
                if s != anchor:
                    value = max(mu[s] - price + h[after_pull(s, satiation)], h[after_rest(s, satiation, states)]) - gain
                    if value > h[s] + 1e-14:
                        h[s] = value
                        changed = True
            if not changed:
                break
        for s in range(states):
            index[i, s] = mu[s] - price + h[after_pull(s, satiation)] - h[after_rest(s, satiation, states)]


def lagrangian_index(plan: LSDPlan, price: float | None = None) -> np.ndarray:
    """The index of every arm in every state, (arms, states), to 12 decimals, so that equal arms have equal indices.

    Args:
        plan: From `lsd_lp`.
        price: What a pull costs; None takes the plan's.
    """
    index = np.empty_like(plan.payoffs)
    index_table(plan.payoffs, plan.satiation, plan.price if price is None else float(price), index)
    return np.round(index, 12)


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
