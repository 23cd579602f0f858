"""Index policy for last-switch-dependent bandits: the advantage of a pull at the price of the relaxation.

When each pull costs the relaxation's Lagrange multiplier, the arms decouple: each either pays the price or rests. Let h
be the relative values of this problem. The index of arm i in state s is the advantage of a pull,

    A_i(s) = mu_i(s) - price + h_i(s after a pull) - h_i(s after a rest),

and the policy pulls the k arms of largest index, none below 0. It corresponds to Whittle's index at one common price.
It has no guarantee of its own, but since the model is known, the better of this policy and mirrored rounding has one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.agents.bandits.lsd_lp import LSDPlan
from envzoo.agents.bandits.lsd_rounding import Rollout, play_table
from envzoo.bandits.kernels import after_pull, after_rest
from envzoo.bandits.model import check_count

# Arms whose index is 0 are pulled: at the price of the relaxation, an arm with a fractional pull rate is indifferent,
# and rounding errors must not exclude it.
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
        # The best cycle at this price, and a state on it: 1 for all cycles with rests and pulls. These come first, so
        # that for an arm indifferent to resting always, the cycle with pulls is the reference.
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
        # Longest paths to that state, with the gain subtracted from every step, so that no cycle is positive.
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
    """Compute the index of every arm in every state, (arms, states), rounded to 12 decimals to keep ties.

    Args:
        plan: From `lsd_lp`.
        price: Cost of a pull; None for the plan's price.
    """
    index = np.empty_like(plan.payoffs)
    index_table(plan.payoffs, plan.satiation, plan.price if price is None else float(price), index)
    return np.round(index, 12)


def index_policy(plan: LSDPlan, rounds: int, *, prices: int = 13) -> tuple[Rollout, np.ndarray]:
    """Simulate the index policy in the model, from rested arms, at several prices; returns the best run and its index.

    At the relaxation's own price the policy rests too often where arms collide frequently, because the pulls that
    collisions leave over are worth less. Prices from 0 to 1.2 times that price are therefore tried. The simulation is
    deterministic, so there is one run per price.

    Args:
        plan: From `lsd_lp`.
        rounds: Length of the run.
        prices: Number of prices; 1 uses the relaxation's price only.

    Returns:
        The run, and the index (arms, states) used in it; `play_table` plays it with `LEAST_INDEX`.

    Raises:
        EnvzooError: The number of rounds or prices is not positive.
    """
    check_count("prices", prices, 1)
    best = None
    for share in [1.0] if prices == 1 else np.linspace(0.0, 1.2, prices):
        index = lagrangian_index(plan, share * plan.price)
        run = play_table(plan.payoffs, index, LEAST_INDEX, plan.satiation, rounds, plan.pulls_per_round)
        if best is None or run.rewards[0] > best[0].rewards[0]:
            best = run, index
    return best
