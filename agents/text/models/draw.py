"""Numba kernel that samples the next tokens of many answers on a CPU."""

from __future__ import annotations

import numpy as np

from envzoo.agents.text.models.kernels import LEAST, exp, kernel
from envzoo.agents.text.models.lanes import dot, largest, total

ZERO = np.float32(0.0)
APART = 64  # numbers between the scratch rows of `draw`: arrays less than 256 bytes apart are not read as vectors


@kernel
def draw(logits, base, temperature, uniform, z, p, token, logp, entropy):
    """Sample a token in each of B rows by the inverse of the cumulative probabilities.

    Args:
        logits: (B, V) float32.
        base: Temperature of the log-probabilities and entropies that are recorded.
        temperature: Sampling temperature.
        uniform: (B,) float32 in [0, 1).
        z: (V,) scratch.
        p: (V,) scratch.
        token: (B,) int64, filled; never one whose probability is 0.
        logp: (B,) filled with log-probabilities of the tokens at `base`.
        entropy: (B,) filled with the entropies at `base`, nats.
    """
    many, size = logits.shape
    for b in range(many):
        most = largest(logits, (b,), size)
        for v in range(size):
            z[v] = (logits[b, v] - most) / base
        for v in range(size):
            p[v] = exp(z[v]) if z[v] > LEAST else ZERO
        mass = total(p, (), size)
        rest = np.log(mass)
        entropy[b] = rest - dot(p, (), z, (), size) / mass
        if temperature != base:
            for v in range(size):
                hot = (logits[b, v] - most) / temperature
                p[v] = exp(hot) if hot > LEAST else ZERO
            mass = total(p, (), size)
        wanted, reached, chosen = uniform[b] * mass, ZERO, 0
        for v in range(size):
            if p[v] > ZERO:
                chosen = v  # the last possible one, should rounding leave `wanted` beyond the sum
                reached += p[v]
                if reached > wanted:
                    break
        token[b] = chosen
        logp[b] = z[chosen] - rest
