"""Dynamics of tokens in deep selective state space models (Vo et al., 2025, arXiv 2410.03292).

In the limit of many thin residual layers, depth becomes a time t and the tokens x_1, ..., x_L move by

    dx_l/dt = sum_{j <= l} (x_l^T M x_j) Delta(x_j) exp(-a sum_{k = j+1..l} Delta(x_k)) x_j

per channel, with Delta(x) = softplus(S x) and the input-output matrix M = S_C^T S_B. If all its eigenvalues are
negative, all tokens shrink to zero; if one is positive, they diverge.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from envzoo.errors import EnvzooError

Scenario = Literal["convergent", "slowly divergent", "divergent in finite time", "divergent"]
TOLERANCE = 1e-10


def softplus(x: np.ndarray) -> np.ndarray:
    """Compute log(1 + e^x) without overflow."""
    return np.logaddexp(0, x)


def token_rates(x: np.ndarray, matrix: np.ndarray, s_delta: np.ndarray, a: float = 1.0) -> np.ndarray:
    """Compute dx/dt of all tokens.

    Args:
        x: (L, D).
        matrix: M, (D, D).
        s_delta: S, (D, D); Delta(x) = softplus(S x).
        a: Rate of the decay.

    Returns:
        (L, D).
    """
    x = np.asarray(x, float)
    delta = softplus(x @ np.asarray(s_delta, float).T)  # (L, D)
    total = np.cumsum(delta, axis=0)
    # The exponent is masked before it is taken: above the diagonal it would overflow.
    gap = total[:, None] - total[None]
    earlier = np.tril(np.ones((len(x), len(x)), bool))
    decay = np.exp(np.where(earlier[:, :, None], -a * gap, -np.inf))
    weights = x @ np.asarray(matrix, float) @ x.T  # (l, j)
    return np.einsum("lj,ljd,jd->ld", weights, decay, delta * x)


def scenario(matrix: np.ndarray | float, s_delta_x: float | None = None) -> Scenario:
    """Tell how tokens move, from the input-output matrix.

    Args:
        matrix: M, (D, D), or mu for tokens of one dimension.
        s_delta_x: For one dimension, S x_l(0): its sign tells slow divergence from divergence in finite time.

    Returns:
        "convergent" if all eigenvalues of the symmetric part (those of its rank) are negative, "divergent" if one is
        positive; for mu > 0 and given `s_delta_x`, "slowly divergent" or "divergent in finite time".

    Raises:
        EnvzooError: The matrix is not square, holds numbers that are not finite, or is zero.
    """
    square = np.atleast_2d(np.asarray(matrix, float))
    if square.ndim != 2 or square.shape[0] != square.shape[1] or not np.isfinite(square).all():
        raise EnvzooError(f"the input-output matrix has the shape {np.shape(matrix)}; expected finite numbers (D, D)")
    values = np.linalg.eigvalsh((square + square.T) / 2)
    largest = np.abs(values).max()
    if largest == 0:
        raise EnvzooError("the input-output matrix is zero, so that tokens do not move")
    relevant = values[np.abs(values) > TOLERANCE * largest]
    if (relevant < 0).all():
        return "convergent"
    if len(square) == 1 and s_delta_x is not None:
        return "divergent in finite time" if s_delta_x > 0 else "slowly divergent"
    return "divergent"


def first_token(t: np.ndarray, x0: float, mu: float) -> np.ndarray:
    """Return the first of one-dimensional tokens for S = 0 (Delta = ln 2): x0 (1 - 2 mu ln 2 x0^2 t)^(-1/2).

    For mu > 0 it diverges at t = 1 / (2 mu ln 2 x0^2).
    """
    return x0 / np.sqrt(1 - 2 * mu * np.log(2) * x0**2 * np.asarray(t, float))
