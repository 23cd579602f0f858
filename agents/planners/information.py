"""Entropies and mutual information in bits, with checks that their inputs are distributions."""

from __future__ import annotations

import numpy as np

from envzoo.errors import EnvzooError

SUM_TOLERANCE = 1e-6  # tolerance of sums of probabilities, as single-precision softmaxes require


def entropy(p: np.ndarray) -> np.ndarray:
    """Compute the entropy in bits of distributions p (..., n), (...).

    Raises:
        EnvzooError: p is empty, has negative or non-finite entries, or does not sum to one.
    """
    p = check_distribution("p", p)
    return -np.sum(p * np.log2(np.where(p > 0, p, 1.0)), axis=-1)


def mutual_information(joint: np.ndarray) -> np.ndarray:
    """Compute I(X;Y) in bits of joint distributions (..., n, k), (...); raises EnvzooError as `entropy` does."""
    joint = np.asarray(joint)
    if joint.ndim < 2:
        raise EnvzooError(f"a joint distribution has the shape (..., n, k), got {joint.shape}")
    flat = check_distribution("joint", joint.reshape(*joint.shape[:-2], -1))
    joint = flat.reshape(joint.shape)
    information = entropy(joint.sum(axis=-1)) + entropy(joint.sum(axis=-2)) - entropy(flat)
    return np.maximum(information, 0.0)


def check_distribution(name: str, p: np.ndarray) -> np.ndarray:
    """Return p as float64 (..., n), normalised up to rounding; raises EnvzooError if it is not a distribution."""
    try:
        p = np.asarray(p, np.float64)
    except (TypeError, ValueError):
        raise EnvzooError(f"{name} holds probabilities, got {p!r}") from None
    if p.ndim == 0 or p.size == 0:
        raise EnvzooError(f"{name} needs at least one probability, got an array of the shape {p.shape}")
    if not np.isfinite(p).all():
        raise EnvzooError(f"{name} holds {p[~np.isfinite(p)][0]}, expected finite probabilities")
    if (p < 0).any():
        raise EnvzooError(f"{name} holds the negative probability {p.min():g}")
    total = p.sum(axis=-1, keepdims=True)
    if (total == 0).any():
        raise EnvzooError(f"{name} is zero everywhere, expected probabilities that sum to one")
    off = np.abs(total - 1.0)
    if (off > SUM_TOLERANCE).any():
        worst = float(total.reshape(-1)[off.argmax()])
        raise EnvzooError(f"{name} sums to {worst:.9g}, expected 1 (divide it by its sum)")
    return p / total


def check_rate(rate: float | np.ndarray) -> np.ndarray:
    """Return rates in bits as float64 (...), infinity allowed; raises EnvzooError if one is negative or NaN."""
    try:
        rate = np.asarray(rate, np.float64)
    except (TypeError, ValueError):
        raise EnvzooError(f"a rate is a number of bits, got {rate!r}") from None
    if not (rate >= 0).all():
        raise EnvzooError(f"a rate is a number of bits of at least 0, got {rate[~(rate >= 0)].flat[0]}")
    return rate
