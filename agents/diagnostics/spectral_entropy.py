"""Diffusion spectral entropy and mutual information of representations (Liao et al., 2024, arXiv 2312.04823).

With G_ij = exp(-|z_i - z_j|^2 / (2 sigma^2)) and d its row sums, K = G / sqrt(d_i d_j) has the eigenvalues of a random
walk among the samples. Their entropy counts, in bits, among how many clusters the samples spread: 2^DSE is an effective
number of clusters, between 1 and N.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.errors import EnvzooError, unknown

NORMALISATIONS = ("code", "paper")
BINS = 10


def _check(z: Any) -> Tensor:
    tensor = torch.as_tensor(z).detach().double()
    if tensor.dim() != 2 or not len(tensor):
        raise EnvzooError(f"representations have the shape {tuple(tensor.shape)}; expected (samples, features)")
    if not torch.isfinite(tensor).all():
        raise EnvzooError("the representations hold NaN or infinite numbers; expected finite ones")
    return tensor


def _check_sigma(sigma: float, t: float) -> None:
    for name, value in (("sigma", sigma), ("t", t)):
        if not isinstance(value, int | float | np.number) or not 0 < value < np.inf:
            raise EnvzooError(f"{name} is {value!r}; expected a positive number")


def squared_distances(z: Tensor) -> Tensor:
    """Compute |z_i - z_j|^2 of all pairs: (N, D) float64 -> (N, N), with zeros on the diagonal."""
    z = z - z.mean(dim=0)
    norms = z.square().sum(dim=1)
    found = (norms[:, None] + norms - 2 * z @ z.t()).clamp_(min=0)
    return found.fill_diagonal_(0)


def median_distance(z: Any) -> float:
    """Compute the median distance between two samples of (N, D); 0 for a single one."""
    distances = squared_distances(_check(z))
    pairs = torch.triu_indices(len(distances), len(distances), 1)
    return float(np.median(distances[pairs[0], pairs[1]].sqrt().numpy())) if pairs.shape[1] else 0.0


def diffusion_matrix(squared: Tensor, sigma: float, normalisation: str = "code") -> Tensor:
    """Compute the symmetric matrix whose eigenvalues are used, (N, N), from squared distances.

    Args:
        squared: (N, N).
        sigma: Bandwidth of the kernel.
        normalisation: "code": K, as the authors' program has it; "paper": K / sqrt(k_i k_j) with k the row sums of K,
            which has the eigenvalues of the matrix P of the paper. The largest eigenvalue of both is 1.
    """
    if normalisation not in NORMALISATIONS:
        raise unknown("normalisation of the diffusion matrix", normalisation, NORMALISATIONS)
    k = torch.exp(squared / (-2 * sigma**2))
    for _ in range(1 if normalisation == "code" else 2):
        root = k.sum(dim=1).rsqrt()
        k = k * root[:, None] * root
    return k


def spectral_entropy(eigenvalues: Tensor, t: float = 1.0) -> Tensor:
    """Compute -sum a log2 a with a = |lambda|^t / sum |lambda|^t in bits: (..., N) -> (...)."""
    powers = eigenvalues.abs() ** t
    a = powers / powers.sum(dim=-1, keepdim=True)
    return -torch.special.xlogy(a, a).sum(dim=-1) / np.log(2)


def _entropy(squared: Tensor, sigma: float, t: float, normalisation: str) -> Tensor:
    return spectral_entropy(torch.linalg.eigvalsh(diffusion_matrix(squared, sigma, normalisation)), t)


def dse(
    z: Any, sigma: float = 10.0, t: float = 1.0, *, normalisation: str = "code", most: int = 10_000, seed: int = 0
) -> float:
    """Compute the diffusion spectral entropy of representations, in bits, from 0 to log2 N.

    Args:
        z: (N, D).
        sigma: Bandwidth. It decides what counts as near: far smaller than all distances, every sample is a cluster.
        t: Diffusion time; larger ones let small eigenvalues vanish.
        normalisation: "code" or "paper"; see `diffusion_matrix`.
        most: Largest number of samples; a random subset of more is taken.
        seed: Seed of the subset.

    Raises:
        EnvzooError: Representations of another shape or with numbers that are not finite, or a bandwidth or time that
            is not positive.
    """
    z = _check(z)
    _check_sigma(sigma, t)
    if len(z) > most:
        z = z[torch.from_numpy(np.random.default_rng(seed).choice(len(z), most, replace=False))]
    return float(_entropy(squared_distances(z), float(sigma), float(t), normalisation))


def as_classes(labels: Any, samples: int) -> np.ndarray:
    """Return labels as classes, int64 (N,): integers as they are, other numbers in 10 bins of equal width.

    Raises:
        EnvzooError: Another number of labels than of samples, or labels that are not numbers.
    """
    array = np.asarray(labels)
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.shape != (samples,):
        raise EnvzooError(f"labels have the shape {array.shape}; expected one for each of the {samples} samples")
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise EnvzooError(f"labels are {array.dtype}; expected integers, or finite numbers")
    low, high = array.min(), array.max()
    if low == high:
        return np.zeros(samples, np.int64)
    return np.minimum(((array - low) / (high - low) * BINS).astype(np.int64), BINS - 1)


def dsmi(
    z: Any,
    labels: Any,
    sigma: float = 10.0,
    t: float = 1.0,
    *,
    normalisation: str = "code",
    repeats: int = 5,
    seed: int = 0,
) -> float:
    """Compute the diffusion spectral mutual information of representations and labels, in bits.

    DSMI = sum_y p(y) (mean_r DSE(random subset r of n_y samples) - DSE(samples with label y)): the entropy of all
    samples is estimated from as many as have the label, because DSE depends on their number. As a difference of
    estimates it can be slightly negative. Classes of one sample are left out.

    Args:
        z: (N, D).
        labels: (N,) integers, or other numbers, which are put into 10 bins of equal width.
        sigma: As in `dse`.
        t: As in `dse`.
        normalisation: As in `dse`.
        repeats: Number of subsets for each class.
        seed: Seed of the subsets.

    Raises:
        EnvzooError: As `dse`, or labels that do not fit.
    """
    z = _check(z)
    _check_sigma(sigma, t)
    classes, generator = as_classes(labels, len(z)), np.random.default_rng(seed)
    squared, total, weight = squared_distances(z), 0.0, 0
    for label in np.unique(classes):
        own = np.flatnonzero(classes == label)
        if len(own) < 2:
            continue
        subsets = [np.sort(generator.choice(len(z), len(own), replace=False)) for _ in range(repeats)]
        rows = torch.from_numpy(np.stack([own, *subsets]))
        blocks = squared[rows[:, :, None], rows[:, None, :]]
        found = torch.stack([_entropy(block, float(sigma), float(t), normalisation) for block in blocks])
        total += len(own) * float(found[1:].mean() - found[0])
        weight += len(own)
    return total / weight if weight else 0.0
