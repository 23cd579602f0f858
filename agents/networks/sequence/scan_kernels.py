"""Numba kernels of linear recurrences over time, forward and backward; see `envzoo.agents.networks.sequence.scan`.

All arrays are contiguous and have the innermost axis last, so that its loops compile to vector instructions. No kernel
sums over the innermost axis, hence the result does not depend on the width of those instructions. Loops work on few
arrays each: compilers check at run time that arrays do not overlap, and give up where there are many pairs.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def scan(a, b, start, x0, x):
    """Write x_t = a_t * keep_t * x_{t-1} + b_t to x, with keep_t = 0 where start_t, else 1.

    a is (T, B, D), or (1, 1, D) for a coefficient that is constant in time; b and x are (T, B, D), start bool (T, B),
    x0 (B, D).
    """
    steps, batch, width = b.shape
    varies = a.shape[0] == steps and a.shape[1] == batch
    for n in range(batch):
        for t in range(steps):
            coefficient = a[t, n] if varies else a[0, 0]
            before = x0[n] if t == 0 else x[t - 1, n]
            added, now = b[t, n], x[t, n]
            if start[t, n]:
                for d in range(width):
                    now[d] = added[d]
            else:
                for d in range(width):
                    now[d] = coefficient[d] * before[d] + added[d]


@njit(cache=True)
def scan_gradient(a, start, x0, x, gradient, da, db, dx0):
    """Write the derivatives of a loss by a, b and x0, given the `gradient` (T, B, D) by x.

    With s_t = gradient_t + conj(a_{t+1}) keep_{t+1} s_{t+1}: db_t = s_t, da_t = s_t keep_t conj(x_{t-1}), and dx0 =
    conj(a_0) keep_0 s_0. `da` has the shape of a and holds zeros at first; for a constant coefficient its values are
    summed over time and batch. For complex numbers, derivatives are those of PyTorch, d/d(real) + i d/d(imaginary).
    """
    steps, batch, width = gradient.shape
    varies = a.shape[0] == steps and a.shape[1] == batch
    for n in range(batch):
        for t in range(steps - 1, -1, -1):
            total, own = db[t, n], gradient[t, n]
            if t == steps - 1 or start[t + 1, n]:
                for d in range(width):
                    total[d] = own[d]
            else:
                coefficient, later = a[t + 1, n] if varies else a[0, 0], db[t + 1, n]
                for d in range(width):
                    total[d] = own[d] + coefficient[d].conjugate() * later[d]
            if not start[t, n]:
                before, sums = x0[n] if t == 0 else x[t - 1, n], da[t, n] if varies else da[0, 0]
                for d in range(width):
                    sums[d] += total[d] * before[d].conjugate()
        coefficient, first = a[0, n] if varies else a[0, 0], db[0, n]
        for d in range(width):
            dx0[n, d] = 0 if start[0, n] else coefficient[d].conjugate() * first[d]


@njit(cache=True)
def diagonal(u, a, w, start, x, y, last):
    """Run H systems of M complex states each: x_t = a keep_t x_{t-1} + u_t, y_t = Re(sum_m w_m x_tm).

    Args:
        u: (T, B, H) inputs.
        a: (2, M, H), real and imaginary parts.
        w: (2, M, H), the same.
        start: bool (T, B).
        x: (B, 2, M, H), the state before the first step.
        y: (T, B, H), written.
        last: (B, 2, M, H), the state after the last step, written.
    """
    steps, batch, width = u.shape
    new = np.empty(width, u.dtype)
    for n in range(batch):
        last[n] = x[n]
        for t in range(steps):
            inputs, outputs = u[t, n], y[t, n]
            for h in range(width):
                outputs[h] = 0
            for m in range(a.shape[1]):
                real, imaginary = last[n, 0, m], last[n, 1, m]
                a_real, a_imaginary, w_real, w_imaginary = a[0, m], a[1, m], w[0, m], w[1, m]
                if start[t, n]:
                    for h in range(width):
                        real[h] = inputs[h]
                        imaginary[h] = 0
                        outputs[h] += w_real[h] * inputs[h]
                else:
                    for h in range(width):
                        new[h] = a_real[h] * real[h] - a_imaginary[h] * imaginary[h] + inputs[h]
                    for h in range(width):
                        imaginary[h] = a_real[h] * imaginary[h] + a_imaginary[h] * real[h]
                    for h in range(width):
                        real[h] = new[h]
                    for h in range(width):
                        outputs[h] += w_real[h] * real[h] - w_imaginary[h] * imaginary[h]


@njit(cache=True)
def diagonal_gradient(u, a, w, start, x0, dy, dlast, states, du, da, dw, dx0):
    """Write the derivatives of a loss by u, a, w and x0, given those by y and by the last state.

    The states are computed again instead of being kept. With s_t = conj(w) dy_t + conj(a) keep_{t+1} s_{t+1}: du_t =
    sum_m Re s_tm, da = sum_t s_t keep_t conj(x_{t-1}), dw = sum_t dy_t conj(x_t), dx0 = conj(a) keep_0 s_0.

    Args:
        u, a, w, start, x0: As in `diagonal`.
        dy: (T, B, H).
        dlast: (B, 2, M, H).
        states: (T + 1, 2, H), scratch space.
        du, da, dw, dx0: Of the shapes of u, a, w and x0; zeros at first.
    """
    steps, batch, width = u.shape
    r, i = np.empty(width, u.dtype), np.empty(width, u.dtype)
    for n in range(batch):
        for m in range(a.shape[1]):
            a_real, a_imaginary, w_real, w_imaginary = a[0, m], a[1, m], w[0, m], w[1, m]
            states[0, 0] = x0[n, 0, m]
            states[0, 1] = x0[n, 1, m]
            for t in range(steps):
                inputs, real, imaginary = u[t, n], states[t, 0], states[t, 1]
                new_real, new_imaginary = states[t + 1, 0], states[t + 1, 1]
                if start[t, n]:
                    for h in range(width):
                        new_real[h] = inputs[h]
                        new_imaginary[h] = 0
                else:
                    for h in range(width):
                        new_real[h] = a_real[h] * real[h] - a_imaginary[h] * imaginary[h] + inputs[h]
                    for h in range(width):
                        new_imaginary[h] = a_real[h] * imaginary[h] + a_imaginary[h] * real[h]
            s_real, s_imaginary = dx0[n, 0, m], dx0[n, 1, m]
            s_real[:] = dlast[n, 0, m]
            s_imaginary[:] = dlast[n, 1, m]
            da_real, da_imaginary, dw_real, dw_imaginary = da[0, m], da[1, m], dw[0, m], dw[1, m]
            for t in range(steps - 1, -1, -1):
                outer, inner = dy[t, n], du[t, n]
                real, imaginary = states[t + 1, 0], states[t + 1, 1]
                before_real, before_imaginary = states[t, 0], states[t, 1]
                # s arrives as the derivative by the state after step t, without the part through y_t.
                for h in range(width):
                    r[h] = s_real[h] + outer[h] * w_real[h]
                for h in range(width):
                    i[h] = s_imaginary[h] - outer[h] * w_imaginary[h]
                for h in range(width):
                    dw_real[h] += outer[h] * real[h]
                for h in range(width):
                    dw_imaginary[h] -= outer[h] * imaginary[h]
                for h in range(width):
                    inner[h] += r[h]
                if start[t, n]:
                    for h in range(width):
                        s_real[h] = 0
                    for h in range(width):
                        s_imaginary[h] = 0
                    continue
                for h in range(width):
                    da_real[h] += r[h] * before_real[h] + i[h] * before_imaginary[h]
                for h in range(width):
                    da_imaginary[h] += i[h] * before_real[h] - r[h] * before_imaginary[h]
                for h in range(width):
                    s_real[h] = a_real[h] * r[h] + a_imaginary[h] * i[h]
                for h in range(width):
                    s_imaginary[h] = a_real[h] * i[h] - a_imaginary[h] * r[h]
