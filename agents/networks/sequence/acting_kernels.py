"""Numba kernels of one step while acting, without gradients: all of a layer's arithmetic but its matrix products.

The innermost loops compile to vector instructions, for which each works on few arrays: compilers check at run time that
arrays do not overlap, and give up where there are many pairs. What needs exponentials is in `lanes`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.agents.networks.sequence.lanes import LANES, activate, scan_lanes

ZERO = np.float32(0.0)


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


@njit(cache=True)
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
    for n in range(batch):
        u, out, old, new = ux[n], mixed[n], state[n], after[n]
        weight = conv[0]
        for e in range(channels):
            out[e] = weight[e] * u[e] + bias[e]
        if start.size > 0 and start[n]:
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
        gate[n] = u[channels:]
    activate(mixed.ravel(), False)
    activate(gate.ravel(), False)


@njit(cache=True)
def mamba_states(mixed, delta, bc, state, start, a, d, gate, after, y):
    """Advance the selective scan of a Mamba block by one step, and gate its outputs.

    Args:
        mixed: (B, E), the inputs of the scan.
        delta: (B, E); its softplus, which replaces it, is the step size.
        bc: (B, R + 2 N), of which the last 2 N columns are B and C.
        state: (B, (K - 1) E + E N); the last E N columns are the states.
        start: bool (B,), or (0,) if no episode starts.
        a: (E N,), the negative eigenvalues divided by ln 2.
        d: (E,), weight of the input.
        gate: (B, E), factors of the outputs.
        after: As `state`; the same columns are written.
        y: (B, E), written: (C h + D u) gate.
    """
    batch, channels = mixed.shape
    size = a.size // channels
    whole, count = size - size % LANES, size % LANES
    offset, first = bc.shape[1] - 2 * size, state.shape[1] - channels * size
    none = np.zeros(state.shape[1], np.float32)
    rest_old, rest_a, rest_new = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
    rest_b, rest_c = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
    activate(delta.ravel(), True)
    for n in range(batch):
        b, c, new = bc[n, offset : offset + size], bc[n, offset + size :], after[n]
        old = none if start.size > 0 and start[n] else state[n]
        steps, u, out = delta[n], mixed[n], y[n]
        rest_b[:count], rest_c[:count] = b[whole:], c[whole:]
        for e in range(channels):
            step, begin = steps[e], e * size
            added, sums = step * u[e], d[e] * u[e]
            for k in range(0, whole, LANES):
                place = first + begin + k
                sums += scan_lanes(old, place, a, begin + k, b, c, k, new, place, step, added)
            if count:
                for k in range(count):
                    rest_old[k], rest_a[k] = old[first + begin + whole + k], a[begin + whole + k]
                sums += scan_lanes(rest_old, 0, rest_a, 0, rest_b, rest_c, 0, rest_new, 0, step, added)
                for k in range(count):
                    new[first + begin + whole + k] = rest_new[k]
            out[e] = sums * gate[n, e]
