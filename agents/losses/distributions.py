"""Log-probabilities, entropies and samples of the policies' distributions, as pure functions of tensors.

Much lighter than `torch.distributions` (no validation, no objects), which matters when a network is small.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
LOG_2 = math.log(2.0)


def sample_categorical(logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw one index per row by the exponential race: logits (..., A), any constant offset -> (...) int64."""
    noise = torch.empty_like(logits).exponential_(generator=generator)
    return (logits - noise.log()).argmax(dim=-1)


def categorical_log_prob(logits: Tensor, action: Tensor) -> Tensor:
    """log pi(a) of softmax(logits): (..., A), (...) int64 -> (...)."""
    return logits.log_softmax(dim=-1).gather(-1, action[..., None]).squeeze(-1)


def categorical_entropy(logits: Tensor) -> Tensor:
    """Entropy in nats of softmax(logits): (..., A) -> (...)."""
    log_probs = logits.log_softmax(dim=-1)
    return -(log_probs.exp() * log_probs).sum(dim=-1)


def gaussian_log_prob(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Log density of independent normals, summed over the last dimension: (..., D) -> (...)."""
    z = (action - mean) * torch.exp(-log_std)
    return (-0.5 * z * z - log_std - LOG_SQRT_2PI).sum(dim=-1)


def gaussian_entropy(log_std: Tensor) -> Tensor:
    """Differential entropy in nats of independent normals: (..., D) -> (...)."""
    return (log_std + 0.5 + LOG_SQRT_2PI).sum(dim=-1)


def log_tanh_derivative(u: Tensor) -> Tensor:
    """log(1 - tanh(u)^2), element by element, in the form 2 (ln 2 - u - softplus(-2u)) that stays exact for large |u|."""
    return 2.0 * (LOG_2 - u - torch.nn.functional.softplus(-2.0 * u))


def sample_squashed_gaussian(
    mean: Tensor, log_std: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Reparameterised a = tanh(u), u ~ N(mean, exp(log_std)^2), and its log density in (-1, 1)^D.

    Args:
        mean: (..., D).
        log_std: (..., D).
        generator: Source of the noise.

    Returns:
        Action (..., D) and log pi(a) (...) (Haarnoja et al. 2018, appendix C, equation 21 of arXiv 1812.05905).
    """
    noise = torch.empty_like(mean).normal_(generator=generator)
    u = mean + log_std.exp() * noise
    log_prob = (-0.5 * noise * noise - log_std - LOG_SQRT_2PI - log_tanh_derivative(u)).sum(dim=-1)
    return torch.tanh(u), log_prob


def squashed_gaussian_log_prob(mean: Tensor, log_std: Tensor, u: Tensor) -> Tensor:
    """log pi(tanh(u)) where u is the action before squashing: (..., D) -> (...)."""
    return gaussian_log_prob(mean, log_std, u) - log_tanh_derivative(u).sum(dim=-1)
