"""Inverse covariances of features: exact, from samples, and by matrix geometric resampling (paper 44)."""

from __future__ import annotations

import math

import numpy as np

from envzoo.errors import EnvzooError


def check_gamma(gamma: float) -> float:
    """Return the regularisation; raises EnvzooError unless it is positive."""
    if not (gamma > 0 and math.isfinite(gamma)):
        raise EnvzooError(f"gamma is a positive number, got {gamma}")
    return float(gamma)


def exact_inverse(covariance: np.ndarray, gamma: float) -> np.ndarray:
    """Compute (gamma I + Sigma)^-1 of covariances (..., d, d)."""
    size = covariance.shape[-1]
    return np.linalg.inv(check_gamma(gamma) * np.eye(size) + covariance)


def empirical_inverse(features: np.ndarray, gamma: float) -> np.ndarray:
    """Compute (gamma I + mean of phi phi^T)^-1 from samples (..., n, d)."""
    covariance = np.swapaxes(features, -1, -2) @ features / features.shape[-2]
    return exact_inverse(covariance, gamma)


def resampling_length(gamma: float, eps: float) -> int:
    """Return the number of samples N = ceil(2 / gamma ln(1 / (eps gamma))) that keeps the truncation below eps."""
    return math.ceil(2 / check_gamma(gamma) * math.log(1 / (eps * gamma)))


def resampled_inverse(features: np.ndarray, gamma: float, step: float = 0.5) -> np.ndarray:
    """Estimate (gamma I + Sigma)^-1 by matrix geometric resampling (Neu and Olkhovskaya, 2020).

        Sigma^+ = c I + c sum_{n=1..N} prod_{i<=n} (I - c (gamma I + phi_i phi_i^T)),  c = step

    Its expectation is (I - (I - c G)^(N+1)) G^-1 with G = gamma I + Sigma.

    Args:
        features: (runs, N, d) independent samples with norm at most 1; the estimates of all runs are averaged.
        gamma: Regularisation.
        step: c, at most 1 / (1 + gamma).
    """
    runs, length, size = features.shape
    check_gamma(gamma)
    product, sums = np.broadcast_to(np.eye(size), (runs, size, size)).copy(), np.zeros((runs, size, size))
    for n in range(length):
        phi = features[:, n]
        moved = (product @ phi[:, :, None]) * phi[:, None, :]
        product = product - step * (gamma * product + moved)
        sums += product
    total = step * np.eye(size) + step * sums.mean(axis=0)
    return (total + total.T) / 2
