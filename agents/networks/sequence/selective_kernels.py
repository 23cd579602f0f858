"""Numba kernels of the selective scan, forward and backward; see `envzoo.agents.networks.sequence.selective`.

Channels come in K blocks of 16 neighbours, the last axis of all arrays that have channels, so that a block of a state
is one vector and its whole chunk of T steps stays in the nearest cache. States are never written for all channels at
once. Sums over channels add the same numbers in the same order, whatever the processor's vectors are.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from envzoo.agents.networks.sequence.lanes import LANES
from envzoo.agents.networks.sequence.vectors import everywhere, load, muladd, power_of_two, store, times, total, zeros

LN_2 = math.log(2)


@njit(cache=True)
def selective(delta, u, a, b, c, start, h, y, last):
    """Run h_t = 2^(delta_t a) keep_t h_{t-1} + delta_t u_t b_t, y_t = sum_n c_tn h_tn, with keep_t = 0 where start_t.

    Args:
        delta, u: (B, K, T, 16).
        a: (K, N, 16).
        b, c: (B, N, T).
        start: bool (B, T).
        h: (B, K, N, 16), the state before the first step.
        y: (B, K, T, 16), zeros at first; written.
        last: (B, K, N, 16), the state after the last step, written.
    """
    batch, blocks, steps, _ = delta.shape
    for n in range(batch):
        for k in range(blocks):
            sizes, inputs, outputs = delta[n, k], u[n, k], y[n, k]
            for m in range(a.shape[1]):
                state, rate = load(h[n, k], m), load(a[k], m)
                for t in range(steps):
                    size = load(sizes, t)
                    carried = zeros(sizes)
                    if not start[n, t]:
                        carried = times(power_of_two(times(size, rate)), state)
                    entering = times(size, load(inputs, t))
                    state = muladd(entering, everywhere(b[n, m, t]), carried)
                    store(outputs, t, muladd(state, everywhere(c[n, m, t]), load(outputs, t)))
                store(last[n, k], m, state)


@njit(cache=True)
def selective_gradient(delta, u, a, b, c, start, h, dy, dlast, ddelta, du, da, db, dc, dh):
    """Write the derivatives of a loss by the arguments of `selective`, given those by y and by the last state.

    The states are computed again, for one n and block at a time. With s_t = c_t dy_t + decay_{t+1} keep_{t+1} s_{t+1}
    and p_t = decay_t keep_t h_{t-1}, where decay_t = e^(delta_t A) and A = a ln 2: dA = sum_t s_t p_t delta_t, db_t =
    sum_e s_t delta_t u_t, dc_t = sum_e dy_t h_t, ddelta_t = sum_n s_t (p_t A + b_t u_t), du_t = sum_n s_t b_t delta_t,
    dh = decay_0 keep_0 s_0.

    Args:
        delta, u, a, b, c, start, h: As in `selective`.
        dy: (B, K, T, 16).
        dlast: (B, K, N, 16).
        ddelta, du, da, db, dc, dh: Of the shapes of delta, u, a, b, c and h; zeros at first. `da` is that by A.
    """
    batch, blocks, steps, _ = delta.shape
    decays, carries = np.empty((steps, LANES), delta.dtype), np.empty((steps, LANES), delta.dtype)
    ln_2 = everywhere(delta.dtype.type(LN_2))
    for n in range(batch):
        for k in range(blocks):
            sizes, inputs, outer, by_size, by_entering = delta[n, k], u[n, k], dy[n, k], ddelta[n, k], du[n, k]
            for m in range(a.shape[1]):
                state, rate = load(h[n, k], m), load(a[k], m)
                for t in range(steps):
                    size = load(sizes, t)
                    carried = zeros(sizes)
                    if not start[n, t]:
                        decay = power_of_two(times(size, rate))
                        carried = times(decay, state)
                        store(decays, t, decay)
                    store(carries, t, carried)
                    state = muladd(times(size, load(inputs, t)), everywhere(b[n, m, t]), carried)
                # s arrives as the derivative by the state after step t, without the part through y_t.
                s, by_rate = load(dlast[n, k], m), load(da[k], m)
                for t in range(steps - 1, -1, -1):
                    size, own, carried = load(sizes, t), load(outer, t), load(carries, t)
                    entering, weight = times(size, load(inputs, t)), everywhere(b[n, m, t])
                    s = muladd(own, everywhere(c[n, m, t]), s)
                    dc[n, m, t] += total(times(own, muladd(entering, weight, carried)))
                    db[n, m, t] += total(times(s, entering))
                    store(by_entering, t, muladd(s, weight, load(by_entering, t)))
                    if start[n, t]:
                        s = zeros(sizes)
                        continue
                    through = times(s, carried)
                    by_rate = muladd(through, size, by_rate)
                    store(by_size, t, muladd(through, rate, load(by_size, t)))
                    s = times(s, load(decays, t))
                store(da[k], m, by_rate)
                store(dh[n, k], m, s)
            # So far du is the derivative by delta_t u_t, and ddelta lacks the part through it and the factor ln 2.
            for t in range(steps):
                entering = load(by_entering, t)
                store(by_size, t, muladd(entering, load(inputs, t), times(load(by_size, t), ln_2)))
                store(by_entering, t, times(entering, load(sizes, t)))
