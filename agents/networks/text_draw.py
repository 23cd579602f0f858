"""Numba kernel that draws the next tokens of many answers, for a CPU."""

from __future__ import annotations

import numpy as np

from envzoo.agents.networks.text_kernels import LEAST, exp, fast

ZERO = np.float32(0.0)


@fast
def draw(logits, base, heat, uniform, token, logp, entropy):
    """Draw a token in each of B rows by the inverse of the cumulative probabilities.

    Args:
        logits: (B, V) float32.
        base: Temperature of the probabilities that are recorded.
        heat: Temperature that is drawn at.
        uniform: (B,) float32 in [0, 1).
        token: (B,) int64, filled; never one whose probability is 0.
        logp: (B,) filled with log-probabilities of the tokens at `base`.
        entropy: (B,) filled with the entropies at `base`, nats.
    """
    many, size = logits.shape
    p = np.empty(size, np.float32)
    for b in range(many):
        most = logits[b, 0]
        for v in range(1, size):
            most = max(most, logits[b, v])
        total, along = ZERO, ZERO
        for v in range(size):
            z = (logits[b, v] - most) / base
            p[v] = exp(z) if z > LEAST else ZERO
            total += p[v]
            along += p[v] * z
        rest = np.log(total)
        entropy[b] = rest - along / total
        if heat != base:
            total = ZERO
            for v in range(size):
                z = (logits[b, v] - most) / heat
                p[v] = exp(z) if z > LEAST else ZERO
                total += p[v]
        wanted, reached, chosen = uniform[b] * total, ZERO, 0
        for v in range(size):
            if p[v] > ZERO:
                chosen = v  # the last possible one, should rounding leave `wanted` beyond the sum
                reached += p[v]
                if reached > wanted:
                    break
        token[b] = chosen
        logp[b] = (logits[b, chosen] - most) / base - rest
