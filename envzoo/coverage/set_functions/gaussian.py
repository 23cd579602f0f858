"""Entropy and mutual information of Gaussian variables, with incremental Cholesky factors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from envzoo.coverage.set_functions.base import SetFunction
from envzoo.errors import EnvzooError


class Data(NamedTuple):
    """Parameters of F(S) = sum over the matrices of 1/2 log det matrix[S, S], plus offset for each element."""

    matrices: np.ndarray  # float64 (M, n, n), positive definite
    floors: np.ndarray  # float64 (M,), smallest eigenvalues, lower bounds of conditional variances
    offset: float


class State(NamedTuple):
    """State of B sets, each a sequence of distinct elements with the lower Cholesky factors of their submatrices."""

    members: Any  # int64 (B, capacity), of which the first `count` are used
    count: Any  # int64 (B,)
    factors: Any  # float64 (B, M, capacity * (capacity + 1) / 2), lower triangles, row by row
    value: Any  # float64 (B,)


@njit
def _gain(data, state, b, element, rows):
    """Compute the gain of one element; its new row of each Cholesky factor is written to `rows` (M, capacity + 1).

    The conditional variance of the element given the set is K_ee - |w|^2 with L w = K_Se (forward substitution, then
    the Schur complement); half its logarithm is the gain in 1/2 log det. Returns 0, and count -1, for a member.
    """
    count = state.count[b]
    for t in range(count):
        if state.members[b, t] == element:
            return 0.0, -1
    gain = data.offset
    for m in range(data.matrices.shape[0]):
        variance, first = data.matrices[m, element, element], 0
        for t in range(count):
            total = data.matrices[m, state.members[b, t], element]
            for u in range(t):
                total -= state.factors[b, m, first + u] * rows[m, u]
            rows[m, t] = total / state.factors[b, m, first + t]
            variance -= rows[m, t] * rows[m, t]
            first += t + 1
        variance = max(variance, data.floors[m])  # corrects rounding
        rows[m, count] = np.sqrt(variance)
        gain += 0.5 * np.log(variance)
    return gain, count


@njit(cache=True)
def gains(data, state, candidates, out):
    """Compute gains by Schur complements, O(size of the set squared) each."""
    rows = np.empty((data.matrices.shape[0], state.members.shape[1] + 1))
    for b in range(candidates.shape[0]):
        for k in range(candidates.shape[1]):
            out[b, k] = _gain(data, state, b, candidates[b, k], rows)[0]


@njit(cache=True)
def add(data, state, elements, where, out):
    """Append the new rows to the Cholesky factors."""
    rows = np.empty((data.matrices.shape[0], state.members.shape[1] + 1))
    for b in range(elements.size):
        if where[b]:
            gain, count = _gain(data, state, b, elements[b], rows)
            if count >= 0:
                first = count * (count + 1) // 2
                for m in range(data.matrices.shape[0]):
                    for t in range(count + 1):
                        state.factors[b, m, first + t] = rows[m, t]
                state.members[b, count] = elements[b]
                state.count[b] = count + 1
                state.value[b] += gain
                out[b] = gain


class _Gaussian(SetFunction):
    """Base of the functions of Gaussian variables, which differ in `data`."""

    kernel_gains, kernel_add = gains, add
    data: Data

    def value(self, indices: Iterable[int]) -> float:
        """Compute F of a set of elements; see `SetFunction.value`."""
        chosen = self._set(indices)
        blocks = self.data.matrices[:, chosen][:, :, chosen]
        return float(0.5 * np.linalg.slogdet(blocks)[1].sum() + self.data.offset * len(chosen))

    def layout(self, capacity: int) -> State:
        """Return the layout; see `SetFunction.layout`."""
        shape = (len(self.data.matrices), capacity * (capacity + 1) // 2)
        return State(members=(np.int64, (capacity,)), count=np.int64, factors=(np.float64, shape), value=np.float64)

    def restart(self, state: State, where: np.ndarray) -> None:
        """Empty the sets marked in `where`; the factors are kept, because nothing beyond `count` is read."""
        state.count[where] = 0
        state.value[where] = 0.0

    def _make_room(self, state: State, elements: np.ndarray, where: np.ndarray) -> None:
        capacity = state.members.shape[1]
        for b in np.flatnonzero(where & (state.count == capacity)):
            if elements[b] not in state.members[b]:
                raise EnvzooError(
                    f"set {b} holds {capacity} elements already, the capacity of its state; give a larger capacity"
                )


class LogDeterminant(_Gaussian):
    """F(S) = 1/2 log det(K[S, S] + jitter I) + offset |S|, in nats: up to constants, the entropy of noisy values.

    Submodular. Monotone if no gain is negative: the conditional variance of an element plus jitter is at least the
    jitter, so F is always monotone for offset >= -1/2 log(jitter). With jitter 1 and covariance K / noise, F is the
    information gain of measuring S, see `information_gain`. Submodular reinforcement learning (arXiv 2307.13372) uses
    jitter 1e-6 and offset 9.965784 = -log2(1e-3), on posterior covariances whose noise keeps the gains positive.

    Args:
        covariance: K (elements, elements), symmetric and positive semidefinite.
        jitter: Variance added to every element, positive.
        offset: Added for every element.

    Raises:
        EnvzooError: The matrix is not a covariance, or the jitter or offset is invalid.
    """

    def __init__(self, covariance: np.ndarray, *, jitter: float = 1e-6, offset: float = 0.0) -> None:
        covariance, least = _covariance(covariance)
        if not (np.isfinite(jitter) and jitter > 0) or not np.isfinite(offset):
            raise EnvzooError(f"jitter is {jitter} and offset {offset}; expected a positive and a finite number")
        self.size = len(covariance)
        matrix = covariance + jitter * np.eye(self.size)
        self.data = Data(matrix[None], np.array([max(least, 0.0) + jitter]), float(offset))

    @classmethod
    def information_gain(cls, covariance: np.ndarray, noise: float) -> LogDeterminant:
        """Make I(values at S measured with variance `noise`; function) = 1/2 log det(I + K[S, S] / noise), monotone.

        Raises:
            EnvzooError: As in the constructor; or the noise is not positive.
        """
        if not (np.isfinite(noise) and noise > 0):
            raise EnvzooError(f"noise is {noise}; expected a positive variance")
        return cls(np.asarray(covariance) / noise, jitter=1.0)


class MutualInformation(_Gaussian):
    """F(S) = I(X_S; X_rest) = H(X_S) + H(X_rest) - H(X), in nats: information of measuring S about the unmeasured rest.

    For Gaussian X, H(X_rest) - H(X) = 1/2 log det (K^-1)[S, S] up to constants that cancel, so that
    F(S) = 1/2 log det K[S, S] + 1/2 log det (K^-1)[S, S]: two determinants that are updated in the same way as S grows.
    F is submodular with F({}) = F(all) = 0, and hence monotone only for sets that are small relative to the number of
    elements: `check_monotone` fails unless `largest` is small. (Krause, Singh and Guestrin, "Near-optimal sensor
    placements in Gaussian processes", Journal of Machine Learning Research 9, 2008, section 4.)

    Args:
        covariance: K (elements, elements), symmetric, including noise.
        noise: Variance added to every element, so that the matrix is invertible.

    Raises:
        EnvzooError: The matrix is not a covariance, or is singular including its noise.
    """

    def __init__(self, covariance: np.ndarray, *, noise: float = 0.0) -> None:
        covariance, least = _covariance(covariance)
        if not (np.isfinite(noise) and noise >= 0):
            raise EnvzooError(f"noise is {noise}; expected a variance of at least 0")
        largest = np.abs(covariance).sum(axis=1).max() + noise
        if least + noise <= 1e-12 * largest:
            raise EnvzooError(
                f"the covariance has the eigenvalue {least + noise:.2g}, too near 0 to be inverted; give a larger noise"
            )
        self.size = len(covariance)
        matrix = covariance + noise * np.eye(self.size)
        inverse = np.linalg.inv(matrix)
        inverse = (inverse + inverse.T) / 2
        self.data = Data(np.stack([matrix, inverse]), np.array([least + noise, 1.0 / largest]), 0.0)


def _covariance(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the matrix as float64 and its smallest eigenvalue; raises EnvzooError if it is not a covariance."""
    matrix = np.asarray(matrix)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0 and matrix.dtype.kind in "iuf"
    if not square:
        raise EnvzooError(f"covariance is {matrix.dtype} of shape {matrix.shape}; expected numbers (n, n)")
    matrix = np.ascontiguousarray(matrix, np.float64)
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12):
        raise EnvzooError("covariance is not symmetric with finite entries")
    eigenvalues = np.linalg.eigvalsh(matrix)
    if eigenvalues[0] < -1e-8 * max(eigenvalues[-1], 1e-300):
        raise EnvzooError(f"covariance has the eigenvalue {eigenvalues[0]:.2g}; expected none below 0")
    return matrix, float(eigenvalues[0])
