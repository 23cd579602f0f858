"""Minimum entropy couplings, with and without a bottleneck (arXiv 2410.21666), batched and with checked input.

A source X on n symbols is encoded as T with bounded entropy, and T is coupled with an output Y on k symbols with a
given distribution, so that the mutual information of X and Y is large. The problem separates into an encoder (`ebim`,
or the baseline `uniform_quantizer`) and a coupling of code and output (`greedy_mec`); `mec_bottleneck` combines them.
Entropies, mutual information and rates are in bits. Leading dimensions are batch dimensions and broadcast against each
other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.agents.planners.ebim_refinement import ebim_gap_fill
from envzoo.agents.planners.information import check_distribution, check_rate, entropy, mutual_information
from envzoo.coding_games import coupling_kernels as kernels
from envzoo.coding_games.coupling_kernels import EBIM, ENCODERS, QUANTIZER
from envzoo.errors import EnvzooError, unknown

__all__ = [
    "Cells",
    "ebim",
    "ebim_gap_fill",
    "entropy",
    "greedy_mec",
    "greedy_mec_cells",
    "joint_with_code",
    "majorization_lower_bound",
    "mec_bottleneck",
    "mutual_information",
    "uniform_quantizer",
]


class Cells(NamedTuple):
    """Non-zero cells of a sparse joint distribution.

    Attributes:
        rows: (c,) int64.
        columns: (c,) int64.
        masses: (c,) float64.
    """

    rows: np.ndarray
    columns: np.ndarray
    masses: np.ndarray


# ---------------------------------------------------------------------------- couplings


def greedy_mec(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Compute the greedy minimum entropy coupling (Kocaoglu et al., arXiv 1611.04035), a joint of low entropy.

    The largest remaining masses of both marginals are paired until none is left. The entropy exceeds the minimum by at
    most log2(e) / e, about 0.53 bit (Compton et al., 2023). Ties go to the lower index, so that two parties with the
    same marginals get the same coupling.

    Args:
        p: (..., n) distributions of the rows.
        q: (..., k) distributions of the columns.

    Returns:
        (..., n, k), with at most n + k - 1 non-zero cells each. For large marginals, where the dense joint is mostly
        zeros, use `greedy_mec_cells`.

    Raises:
        EnvzooError: A marginal is empty, has negative or non-finite entries, or does not sum to one.
    """
    p, q = _pair("p", p, "q", q)
    joint = np.zeros((*p.shape, q.shape[-1]))
    _greedy_batch(_rows(p), _rows(q), joint.reshape(-1, *joint.shape[-2:]))
    return joint


def greedy_mec_cells(p: np.ndarray, q: np.ndarray) -> Cells:
    """Compute the coupling of `greedy_mec` for one pair of marginals p (n,) and q (k,) as cells.

    It takes O((n + k) log(n + k)) time.

    Raises:
        EnvzooError: As `greedy_mec`, or batches of marginals.
    """
    p, q = check_distribution("p", p), check_distribution("q", q)
    if p.ndim != 1 or q.ndim != 1:
        raise EnvzooError(f"cells are of one pair of marginals (n,) and (k,), got {p.shape} and {q.shape}")
    return Cells(*kernels.greedy_cells(p, q))


def majorization_lower_bound(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Compute a lower bound in bits on the entropy of every coupling of p (..., n) and q (..., k), (...).

    It is the entropy of the greatest distribution that both majorise: with both sorted in descending order, its
    cumulative sums are the smaller of the two.

    Raises:
        EnvzooError: As `greedy_mec`.
    """
    p, q = _pair("p", p, "q", q)
    size = max(p.shape[-1], q.shape[-1])
    sums = []
    for masses in (p, q):
        padded = np.zeros((*masses.shape[:-1], size))
        padded[..., : masses.shape[-1]] = masses
        sums.append(np.cumsum(-np.sort(-padded, axis=-1), axis=-1))
    least = np.minimum(*sums)
    least[..., -1] = 1.0
    return entropy(np.maximum(np.diff(least, prepend=0.0, axis=-1), 0.0))


# ---------------------------------------------------------------------------- encoders


def ebim(p: np.ndarray, rate: float | np.ndarray) -> np.ndarray:
    """Compute a code by greedy deterministic entropy-bounded information maximisation (Algorithm 1), in O(n log n).

    Searches for the deterministic code of largest entropy, which equals its mutual information with the source, subject
    to the rate. The unused part of the rate is at most the binary entropy of the second largest mass.

    Args:
        p: (..., n) distributions of the source.
        rate: (...) maximum entropy of the code.

    Returns:
        (..., n) int64, the code of each symbol, numbered from 0 in the order of their first symbols; -1 for symbols of
        probability 0. Use `joint_with_code` for the joint distribution.

    Raises:
        EnvzooError: The source is not a distribution, or a rate is negative or NaN.
    """
    return _encode(p, rate, EBIM)


def uniform_quantizer(p: np.ndarray, rate: float | np.ndarray) -> np.ndarray:
    """Compute the code of the baseline encoder (Algorithm 5): at most floor(2^rate) blocks of neighbouring symbols.

    The blocks do not depend on the probabilities. Arguments, result and errors are those of `ebim`.
    """
    return _encode(p, rate, QUANTIZER)


def joint_with_code(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute the joint distribution (..., n, t) of sources p (..., n) and their codes.

    `labels` (..., n) are below t, or -1 for no code.

    Raises:
        EnvzooError: The source is not a distribution, labels have another shape, or a symbol of positive probability
            has no code.
    """
    p, labels = check_distribution("p", p), np.asarray(labels)
    if labels.shape != p.shape or labels.dtype.kind not in "iu":
        raise EnvzooError(f"labels are integers of the shape {p.shape}, got {labels.dtype} {labels.shape}")
    if labels[p > 0].min() < 0:
        raise EnvzooError("every symbol with mass needs a label of at least 0, but some are negative")
    return p[..., None] * (labels[..., None] == np.arange(labels.max() + 1))


def mec_bottleneck(p_x: np.ndarray, p_y: np.ndarray, rate: float | np.ndarray, encoder: str = "ebim") -> np.ndarray:
    """Compute a minimum entropy coupling with a bottleneck: a joint of given marginals through a code.

    Args:
        p_x: (..., n) distributions of the source.
        p_y: (..., k) given distributions of the output.
        rate: (...) maximum entropy of the code.
        encoder: "ebim", "quantizer", or "none", which gives each symbol its own code whatever the rate.

    Returns:
        (..., n, k), p(x, y) = sum_t p(x, t) J(t, y) / p(t) with J the greedy coupling of code and output.

    Raises:
        EnvzooError: Marginals are not distributions, a rate is negative or NaN, or the encoder is unknown.
    """
    if encoder not in ENCODERS:
        raise unknown("encoder", encoder, ENCODERS)
    p_x, p_y = _pair("p_x", p_x, "p_y", p_y)
    rate = np.broadcast_to(check_rate(rate), p_x.shape[:-1])
    joint = np.zeros((*p_x.shape, p_y.shape[-1]))
    rates = np.ascontiguousarray(rate, np.float64).reshape(-1)
    _bottleneck_batch(_rows(p_x), _rows(p_y), rates, ENCODERS[encoder], joint.reshape(-1, *joint.shape[-2:]))
    return joint


# ---------------------------------------------------------------------------- batches


def _pair(name_p: str, p: np.ndarray, name_q: str, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, q = check_distribution(name_p, p), check_distribution(name_q, q)
    try:
        batch = np.broadcast_shapes(p.shape[:-1], q.shape[:-1])
    except ValueError:
        raise EnvzooError(f"batches of {name_p} {p.shape} and {name_q} {q.shape} do not fit together") from None
    return np.broadcast_to(p, (*batch, p.shape[-1])), np.broadcast_to(q, (*batch, q.shape[-1]))


def _rows(p: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(p).reshape(-1, p.shape[-1])


def _encode(p: np.ndarray, rate: float | np.ndarray, encoder: int) -> np.ndarray:
    p, rate = check_distribution("p", p), check_rate(rate)
    try:
        rate = np.broadcast_to(rate, p.shape[:-1])
    except ValueError:
        raise EnvzooError(f"rates {rate.shape} do not fit a batch of sources {p.shape[:-1]}") from None
    labels = np.empty(p.shape, np.int64)
    _encode_batch(_rows(p), np.ascontiguousarray(rate).reshape(-1), encoder, labels.reshape(-1, p.shape[-1]))
    return labels


@njit(cache=True)
def _greedy_batch(p: np.ndarray, q: np.ndarray, joint: np.ndarray) -> None:
    for i in range(len(p)):
        kernels.greedy_joint(p[i], q[i], joint[i])


@njit(cache=True)
def _encode_batch(p: np.ndarray, rate: np.ndarray, encoder: int, labels: np.ndarray) -> None:
    for i in range(len(p)):
        kernels.encode(p[i], rate[i], encoder, labels[i])


@njit(cache=True)
def _bottleneck_batch(p: np.ndarray, q: np.ndarray, rate: np.ndarray, encoder: int, joint: np.ndarray) -> None:
    """Compute the couplings of a batch; rows of one code share its cells in proportion to their masses."""
    labels = np.empty(p.shape[1], np.int64)
    for i in range(len(p)):
        count = kernels.encode(p[i], rate[i], encoder, labels)
        masses = kernels.code_masses(p[i], labels, count)
        rows, columns, cells = kernels.greedy_cells(masses, q[i])
        coupling = np.zeros((count, q.shape[1]))
        for cell in range(len(cells)):
            coupling[rows[cell], columns[cell]] += cells[cell]
        for x in range(p.shape[1]):
            if labels[x] >= 0:
                joint[i, x] = coupling[labels[x]] * (p[i, x] / masses[labels[x]])
