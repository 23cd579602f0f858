"""Log-probabilities, entropies and samples of policy distributions, as pure functions of tensors.

They avoid the overhead of `torch.distributions` (validation, objects), which matters for small networks.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
LOG_2 = math.log(2.0)


def sample_categorical(logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Sample one index per row with exponential noise: logits (..., A), up to an additive constant -> (...) int64."""
    noise = torch.empty_like(logits).exponential_(generator=generator)
    return (logits - noise.log()).argmax(dim=-1)


LEAST_LOG_PROB = -1e9  # its exponential is 0, and its product with 0 is 0 rather than NaN


def finite(log_probs: Tensor) -> Tensor:
    """Replace log-probabilities of -inf (masked actions) by a large negative number; other values are unchanged."""
    return log_probs.clamp_min(LEAST_LOG_PROB)


def categorical_log_prob(logits: Tensor, action: Tensor) -> Tensor:
    """Compute log pi(a) of softmax(logits): (..., A), (...) int64 -> (...)."""
    return logits.log_softmax(dim=-1).gather(-1, action[..., None]).squeeze(-1)


def categorical_entropy(logits: Tensor) -> Tensor:
    """Compute the entropy in nats of softmax(logits): (..., A) -> (...); logits of -inf have probability 0."""
    log_probs = logits.log_softmax(dim=-1)
    # Replace -inf before the product: 0 * -inf is NaN, in the value and in the gradient.
    return -(log_probs.exp() * log_probs.masked_fill(log_probs == -torch.inf, 0.0)).sum(dim=-1)


def gaussian_log_prob(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Compute the log density of independent normals, summed over the last dimension: (..., D) -> (...)."""
    z = (action - mean) * torch.exp(-log_std)
    return (-0.5 * z * z - log_std - LOG_SQRT_2PI).sum(dim=-1)


def gaussian_entropy(log_std: Tensor) -> Tensor:
    """Compute the differential entropy in nats of independent normals: (..., D) -> (...)."""
    return (log_std + 0.5 + LOG_SQRT_2PI).sum(dim=-1)


def log_tanh_derivative(u: Tensor) -> Tensor:
    """Compute log(1 - tanh(u)^2) elementwise as 2 (ln 2 - u - softplus(-2u)), which is accurate for large |u|."""
    return 2.0 * (LOG_2 - u - torch.nn.functional.softplus(-2.0 * u))


class _SquashedGaussian(torch.autograd.Function):
    """Sample a = tanh(mean + std * noise) with log pi(a), and a hand-written backward pass.

    With u before squashing: da/du = 1 - a^2, d log pi/du = 2 a, and d log pi/d log_std has a further -1. Autograd would
    use about thirty small operations for the same result.
    """

    @staticmethod
    def forward(ctx: Any, mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        spread = log_std.exp() * noise
        u = mean + spread
        action = torch.tanh(u)
        log_prob = (noise * noise).mul_(-0.5).sub_(log_std).sub_(log_tanh_derivative(u)).sum(dim=-1)
        ctx.save_for_backward(action, spread)
        return action, log_prob.sub_(LOG_SQRT_2PI * mean.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_action: Tensor, grad_log_prob: Tensor) -> tuple[Tensor, Tensor, None]:
        action, spread = ctx.saved_tensors
        weight = grad_log_prob[..., None]
        grad_mean = grad_action * (1 - action * action) + weight * (2 * action)
        return grad_mean, grad_mean * spread - weight, None


def sample_squashed_gaussian(
    mean: Tensor, log_std: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Sample a reparameterised a = tanh(u), u ~ N(mean, exp(log_std)^2), with its log density in (-1, 1)^D.

    Args:
        mean: (..., D).
        log_std: (..., D).
        generator: Generator of the noise.

    Returns:
        Action (..., D) and log pi(a) (...) (Haarnoja et al. 2018, appendix C, equation 21 of arXiv 1812.05905); both
        can be differentiated once.
    """
    noise = torch.empty_like(mean).normal_(generator=generator)
    return _SquashedGaussian.apply(mean, log_std, noise)


def squashed_gaussian_log_prob(mean: Tensor, log_std: Tensor, u: Tensor) -> Tensor:
    """Compute log pi(tanh(u)), where u is the action before squashing: (..., D) -> (...)."""
    return gaussian_log_prob(mean, log_std, u) - log_tanh_derivative(u).sum(dim=-1)
