"""Measures of the features of a network: effective rank, and units that hardly ever respond."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from envzoo.errors import EnvzooError


def effective_rank(z: Any) -> float:
    """Compute exp of the entropy of the normalised singular values of (N, D) features (Roy and Vetterli, 2007).

    It lies between 1 and min(N, D), and equals r for r equal singular values; features that are all zero have 0.
    """
    values = torch.linalg.svdvals(_features(z))
    if not values.any():
        return 0.0
    p = values / values.sum()
    return float(torch.exp(-torch.special.xlogy(p, p).sum()))


def dormant_share(z: Any, threshold: float = 0.025) -> float:
    """Compute the share of units whose mean |activation| is at most `threshold` times that of all units.

    Units of this kind have stopped to contribute (Sokar et al., 2023, arXiv 2302.12902).

    Args:
        z: (N, D) activations.
        threshold: Called tau in the paper; 0 counts only units that are always zero.
    """
    mean = _features(z).abs().mean(dim=0)
    return float((mean <= threshold * mean.mean()).double().mean())


def _features(z: Any) -> torch.Tensor:
    tensor = torch.as_tensor(z).detach().double()
    if tensor.dim() != 2 or not tensor.numel() or not np.isfinite(float(tensor.abs().sum())):
        raise EnvzooError(f"features have the shape {tuple(tensor.shape)}; expected finite numbers (samples, units)")
    return tensor
