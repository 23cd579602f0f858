"""Numba kernels of the selective scan, forward and backward; see `envzoo.agents.networks.sequence.selective`.

The E channels are K blocks of 16 neighbours, so that a state of a block is one vector of 16 lanes. The forward kernel
keeps the states of one episode at one step, and stores those before every 32nd step; from there the gradient computes
the states of 32 steps again, which fit into the nearest cache. Hence the time per step does not grow with the number
of steps. Sums over channels add the same numbers in the same order, whatever the processor's vectors are.
"""

from __future__ import annotations

import math

from numba import njit

from envzoo.agents.networks.sequence.vectors import everywhere, load, muladd, power_of_two, store, times, total, zeros

STRETCH = 32  # steps between stored states
LN_2 = math.log(2)


@njit(cache=True)
def selective(delta, u, a, b, c, start, h, kept, y, last):
    """Run h_t = 2^(delta_t a) keep_t h_{t-1} + delta_t u_t b_t, y_t = sum_n c_tn h_tn, with keep_t = 0 where start_t.

    Args:
        delta, u: (T, B, E), where E = 16 K.
        a: (K, N, 16).
        b, c: (T, B, N).
        start: bool (T, B).
        h: (B, K, N, 16), the state before the first step.
        kept: (ceil(T / 32), B, K, N, 16), the states before every 32nd step, written; of length 0 if not needed.
        y: (T, B, E), written.
        last: (B, K, N, 16), the state after the last step, written.
    """
    (steps, batch, _), (blocks, size, _) = delta.shape, a.shape
    for n in range(batch):
        last[n] = h[n]
        for t in range(steps):
            if kept.size > 0 and t % STRETCH == 0:
                kept[t // STRETCH, n] = last[n]
            for k in range(blocks):
                place = (t * batch + n) * blocks + k
                step = load(delta, place)
                entering, sums = times(step, load(u, place)), zeros(delta)
                for m in range(size):
                    rate, own = k * size + m, (n * blocks + k) * size + m
                    state = times(entering, everywhere(b[t, n, m]))
                    if not start[t, n]:
                        state = muladd(power_of_two(times(step, load(a, rate))), load(last, own), state)
                    store(last, own, state)
                    sums = muladd(state, everywhere(c[t, n, m]), sums)
                store(y, place, sums)


@njit(cache=True)
def selective_gradient(delta, u, a, b, c, start, kept, dy, decays, carries, ddelta, du, da, db, dc, dh):
    """Write the derivatives of a loss by the arguments of `selective`, given those by y and by the last state.

    With s_t = c_t dy_t + decay_{t+1} keep_{t+1} s_{t+1} and p_t = decay_t keep_t h_{t-1}, where decay_t = e^(delta_t A)
    and A = a ln 2: dA = sum_t s_t p_t delta_t, db_t = sum_e s_t delta_t u_t, dc_t = sum_e dy_t h_t, ddelta_t = sum_n
    s_t (p_t A + b_t u_t), du_t = sum_n s_t b_t delta_t, dh = decay_0 keep_0 s_0.

    Args:
        delta, u, a, b, c, start, kept: As in `selective`.
        dy: (T, B, E).
        decays, carries: (33, N, 16), scratch space for decay_t and p_t; the last row of `carries` is for states.
        ddelta, du: (T, B, E), written.
        da: (K, N, 16), zeros at first; written, the derivative by A.
        db, dc: (T, B, N), zeros at first; written.
        dh: (B, K, N, 16), the derivative by the last state at first; written.
    """
    (steps, batch, _), (blocks, size, _) = delta.shape, a.shape
    ln_2 = everywhere(delta.dtype.type(LN_2))
    for n in range(batch):
        for stretch in range(len(kept) - 1, -1, -1):
            begin = stretch * STRETCH
            for k in range(blocks):
                carries[STRETCH] = kept[stretch, n, k]
                for t in range(begin, min(begin + STRETCH, steps)):
                    place, row = (t * batch + n) * blocks + k, (t - begin) * size
                    step = load(delta, place)
                    entering = times(step, load(u, place))
                    for m in range(size):
                        carried = zeros(delta)
                        if not start[t, n]:
                            decay = power_of_two(times(step, load(a, k * size + m)))
                            carried = times(decay, load(carries, STRETCH * size + m))
                            store(decays, row + m, decay)
                        store(carries, row + m, carried)
                        store(carries, STRETCH * size + m, muladd(entering, everywhere(b[t, n, m]), carried))
                for t in range(min(begin + STRETCH, steps) - 1, begin - 1, -1):
                    place, row = (t * batch + n) * blocks + k, (t - begin) * size
                    step, inputs, outer = load(delta, place), load(u, place), load(dy, place)
                    entering, by_step, by_entering = times(step, inputs), zeros(delta), zeros(delta)
                    for m in range(size):
                        rate, own = k * size + m, (n * blocks + k) * size + m
                        carried, weight = load(carries, row + m), everywhere(b[t, n, m])
                        # dh arrives as the derivative by the state after step t, without the part through y_t.
                        s = muladd(outer, everywhere(c[t, n, m]), load(dh, own))
                        dc[t, n, m] += total(times(outer, muladd(entering, weight, carried)))
                        db[t, n, m] += total(times(s, entering))
                        by_entering = muladd(s, weight, by_entering)
                        if start[t, n]:
                            store(dh, own, zeros(delta))
                        else:
                            through = times(s, carried)
                            by_step = muladd(through, load(a, rate), by_step)
                            store(da, rate, muladd(through, step, load(da, rate)))
                            store(dh, own, times(s, load(decays, row + m)))
                    store(ddelta, place, muladd(by_entering, inputs, times(by_step, ln_2)))
                    store(du, place, times(by_entering, step))
