"""Numba kernels of one step while acting, without gradients: all of a layer's arithmetic but its matrix products.

The innermost loops compile to vector instructions, for which each works on few arrays: compilers check at run time that
arrays do not overlap, and give up where there are many pairs. Exponentials are computed from a polynomial, because
calls of the C library would not be vectorised; they agree with NumPy's to 3e-7, relative, between -87 and 88, and are 0
below.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)  # ln 2 as a sum, the first of few bits
ROUND = np.float32(12582912.0)  # adding 1.5 * 2^23 and taking it away rounds a small float32 to a whole number
LOWEST, HIGHEST = np.float32(-87.0), np.float32(88.0)
# Minimax polynomial of exp on [-ln 2 / 2, ln 2 / 2] after Cephes' expf, from the highest power.
C5, C4, C3, C2, C1, C0 = (
    np.float32(c) for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
)
ONE, ZERO = np.float32(1.0), np.float32(0.0)
LANES = 8


@njit(cache=True)
def exponentials(x, scale):
    """Replace x (n,) float32 by exp(x) in place; `scale` (n,) int32 is scratch space."""
    for i in range(x.size):
        value = min(max(x[i], LOWEST), HIGHEST)
        whole = (value * LOG2_E + ROUND) - ROUND
        r = value - whole * LN2_HIGH - whole * LN2_LOW
        p = ((((C5 * r + C4) * r + C3) * r + C2) * r + C1) * r + C0
        scale[i] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        x[i] = ZERO if x[i] < LOWEST else p * r * r + r + ONE
    powers = scale.view(np.float32)  # 2^whole
    for i in range(x.size):
        x[i] *= powers[i]


@njit(cache=True)
def unchanged(a, b, c, d, kept):
    """Tell whether four flat arrays, one after the other, equal `kept`."""
    position = 0
    for array in (a, b, c, d):
        for i in range(array.size):
            if array[i] != kept[position + i]:
                return False
        position += array.size
    return position == kept.size


@njit(cache=True)
def s4d(u, state, start, coefficients, d, after, y):
    """Advance S4D by one step.

    Args:
        u: (B, H) inputs.
        state: (B, P, M, H), the states; P is 2 for complex numbers, 1 for real ones.
        start: bool (B,), or (0,) if no episode starts.
        coefficients: (M, 4, H), real and imaginary parts of Abar and of the weights of the states.
        d: (H,), weight of the input.
        after: As `state`, written.
        y: (B, H), written.
    """
    batch, parts, modes, width = state.shape
    for n in range(batch):
        inputs, outputs, old, new = u[n], y[n], state[n], after[n]
        fresh = start.size > 0 and start[n]
        for h in range(width):
            outputs[h] = d[h] * inputs[h]
        for m in range(modes):
            c = coefficients[m]
            if fresh:
                for h in range(width):
                    new[0, m, h] = inputs[h]
            elif parts == 1:
                for h in range(width):
                    new[0, m, h] = c[0, h] * old[0, m, h] + inputs[h]
            else:
                for h in range(width):
                    new[0, m, h] = c[0, h] * old[0, m, h] - c[1, h] * old[1, m, h] + inputs[h]
            if parts == 1:
                for h in range(width):
                    outputs[h] += c[2, h] * new[0, m, h]
                continue
            if fresh:
                for h in range(width):
                    new[1, m, h] = ZERO
            else:
                for h in range(width):
                    new[1, m, h] = c[0, h] * old[1, m, h] + c[1, h] * old[0, m, h]
            for h in range(width):
                outputs[h] += c[2, h] * new[0, m, h] - c[3, h] * new[1, m, h]


@njit(cache=True, error_model="numpy")
def mamba_inputs(ux, state, start, conv, bias, after, mixed, gate):
    """Convolve the inputs of a Mamba block for one step, and apply two gates: mixed = silu(conv(u)), gate = silu(z).

    Args:
        ux: (B, 2 E), u and z.
        state: (B, (K - 1) E + E N); the first (K - 1) E columns are the inputs before, oldest first.
        start: bool (B,), or (0,) if no episode starts.
        conv: (K, E); row j weighs the input j steps ago.
        bias: (E,).
        after: As `state`; the same columns are written.
        mixed, gate: (B, E), written.
    """
    batch, channels, taps = ux.shape[0], mixed.shape[1], conv.shape[0] - 1
    size = taps * channels
    powers, scale = np.empty(2 * channels, np.float32), np.empty(2 * channels, np.int32)
    for n in range(batch):
        u, out, old, new = ux[n], mixed[n], state[n], after[n]
        fresh = start.size > 0 and start[n]
        weight = conv[0]
        for e in range(channels):
            out[e] = weight[e] * u[e] + bias[e]
        if fresh:
            for e in range(size):
                new[e] = ZERO
        else:
            for j in range(taps):
                weight, tap = conv[taps - j], old[j * channels : (j + 1) * channels]
                for e in range(channels):
                    out[e] += weight[e] * tap[e]
            for e in range(channels, size):
                new[e - channels] = old[e]
        for e in range(channels if taps else 0):
            new[size - channels + e] = u[e]
        for e in range(channels):
            powers[e] = -out[e]
            powers[channels + e] = -u[channels + e]
        exponentials(powers, scale)
        for e in range(channels):
            out[e] = out[e] / (ONE + powers[e])
        for e in range(channels):
            gate[n, e] = u[channels + e] / (ONE + powers[channels + e])


@njit(cache=True)
def mamba_states(mixed, delta, bc, state, start, a, d, gate, after, y):
    """Advance the selective scan of a Mamba block by one step, and gate its outputs.

    Args:
        mixed: (B, E), the inputs of the scan.
        delta: (B, E), the step sizes.
        bc: (B, R + 2 N), of which the last 2 N columns are B and C.
        state: (B, (K - 1) E + E N); the last E N columns are the states.
        start: bool (B,), or (0,) if no episode starts.
        a: (E, N), the negative eigenvalues.
        d: (E,), weight of the input.
        gate: (B, E), factors of the outputs.
        after: As `state`; the same columns are written.
        y: (B, E), written: (C h + D u) gate.
    """
    batch, channels = mixed.shape
    size = a.shape[1]
    total, offset, first = channels * size, bc.shape[1] - 2 * size, state.shape[1] - channels * size
    decay, scale = np.empty(total, np.float32), np.empty(total, np.int32)
    for n in range(batch):
        b, c, old, new = bc[n, offset : offset + size], bc[n, offset + size :], state[n, first:], after[n, first:]
        if start.size > 0 and start[n]:
            for i in range(total):
                new[i] = ZERO
        else:
            for e in range(channels):
                step, row = delta[n, e], a[e]
                place = decay[e * size : (e + 1) * size]
                for k in range(size):
                    place[k] = step * row[k]
            exponentials(decay, scale)
            for i in range(total):
                new[i] = decay[i] * old[i]
        for e in range(channels):
            added, place = delta[n, e] * mixed[n, e], new[e * size : (e + 1) * size]
            for k in range(size):
                place[k] += added * b[k]
        for e in range(channels):
            place = new[e * size : (e + 1) * size]
            sums = d[e] * mixed[n, e]
            whole = size - size % LANES
            for k in range(0, whole, LANES):  # eight products at a time
                p0, p1 = place[k] * c[k], place[k + 1] * c[k + 1]
                p2, p3 = place[k + 2] * c[k + 2], place[k + 3] * c[k + 3]
                p4, p5 = place[k + 4] * c[k + 4], place[k + 5] * c[k + 5]
                p6, p7 = place[k + 6] * c[k + 6], place[k + 7] * c[k + 7]
                sums += ((p0 + p4) + (p2 + p6)) + ((p1 + p5) + (p3 + p7))
            for k in range(whole, size):
                sums += place[k] * c[k]
            y[n, e] = sums * gate[n, e]
