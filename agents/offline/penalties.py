"""Penalties for the uncertainty of an ensemble of models, as pure functions.

Each member i of N predicts a Gaussian with diagonal covariance for each of B transitions. A penalty is a function

    penalty(mean, std, sample, member) -> (B,)

of the members' means and standard deviations (N, B, D), the outcome that was drawn (B, D), and the member that it was
drawn from (B,) int64. Formulas are those of Lu et al. (2022, arXiv 2110.04135), which compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from envzoo.agents.networks.lagrange import DualVariable
from envzoo.errors import EnvzooError, unknown

Penalty = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def max_aleatoric(mean: Tensor, std: Tensor, sample: Tensor, member: Tensor) -> Tensor:
    """Compute the largest norm of a member's standard deviations, max_i |std_i| (MOPO, arXiv 2005.13239)."""
    return std.norm(dim=-1).amax(dim=0)


def max_pairwise_difference(mean: Tensor, std: Tensor, sample: Tensor, member: Tensor) -> Tensor:
    """Compute the largest distance of two members' means, max_ij |mean_i - mean_j| (MOReL, arXiv 2005.05951)."""
    # One member at a time, so that memory grows with N and not with its square.
    return torch.stack([(mean - one).norm(dim=-1).amax(dim=0) for one in mean]).amax(dim=0)


def log_likelihood_variance(mean: Tensor, std: Tensor, sample: Tensor, member: Tensor) -> Tensor:
    """Compute the variance over the members of the sample's log-density (LOMPO, arXiv 2012.11547)."""
    z = (sample - mean) / std
    return (z.square() / 2 + std.log()).sum(dim=-1).var(dim=0, correction=0)  # the constant does not vary


def leave_one_out_divergence(mean: Tensor, std: Tensor, sample: Tensor, member: Tensor) -> Tensor:
    """Compute KL(T_i || the Gaussian with the moments of the other members' mixture), i = `member` (M2AC, 2010.04893).

    A single member has no others; its penalty is 0.
    """
    if len(mean) == 1:
        return torch.zeros_like(mean[0, :, 0])
    row = torch.arange(mean.shape[1], device=mean.device)
    others = torch.ones(mean.shape[:2], dtype=mean.dtype, device=mean.device)
    others[member, row] = 0
    weight = (others / (len(mean) - 1))[..., None]
    centre = (weight * mean).sum(dim=0)
    variance = (weight * (std.square() + (mean - centre).square())).sum(dim=0)
    own_mean, own_variance = mean[member, row], std[member, row].square()
    ratio = own_variance / variance
    return ((ratio - 1 - ratio.log() + (own_mean - centre).square() / variance) / 2).sum(dim=-1)


def ensemble_std(mean: Tensor, std: Tensor, sample: Tensor, member: Tensor) -> Tensor:
    """Compute the norm of the standard deviations of the means over the members: their disagreement alone."""
    return mean.var(dim=0, correction=0).sum(dim=-1).sqrt()


def ensemble_variance(mean: Tensor, std: Tensor, sample: Tensor, member: Tensor) -> Tensor:
    """Compute the total variance of the mixture of all members: mean of variances and variance of means."""
    return (std.square().mean(dim=0) + mean.var(dim=0, correction=0)).sum(dim=-1)


def mixture_std(mean: Tensor, std: Tensor, sample: Tensor, member: Tensor) -> Tensor:
    """Compute the square root of `ensemble_variance`."""
    return ensemble_variance(mean, std, sample, member).sqrt()


PENALTIES: dict[str, Penalty] = {
    "max_aleatoric": max_aleatoric,
    "max_pairwise_difference": max_pairwise_difference,
    "log_likelihood_variance": log_likelihood_variance,
    "leave_one_out_divergence": leave_one_out_divergence,
    "ensemble_std": ensemble_std,
    "ensemble_variance": ensemble_variance,
    "mixture_std": mixture_std,
}


def register_penalty(name: str, function: Penalty) -> None:
    """Add a penalty of your own; a file that names it can be loaded once it is registered.

    Raises:
        EnvzooError: The name is taken, or the penalty is no function.
    """
    if not isinstance(name, str) or not name.isidentifier() or name in PENALTIES:
        raise EnvzooError(f"a penalty needs a name of its own, such as 'my_penalty', got {name!r}")
    if not callable(function):
        raise EnvzooError(f"a penalty is a function of mean, std, sample and member, got a {type(function).__name__}")
    PENALTIES[name] = function


def find_penalty(name: str) -> Penalty:
    """Return the penalty of this name; raises UnknownNameError."""
    if name not in PENALTIES:
        raise unknown("penalty", name, PENALTIES)
    return PENALTIES[name]


class AutoPenalty(DualVariable):
    """Weight lambda of a penalty, learned so that the mean of lambda times the penalty u is `target`.

    Each update takes a step of Adam on log lambda along the gradient of lambda (E[lambda u] - target), with lambda in
    the expectation taken as a constant.

    Args:
        target: Wanted mean of lambda u.
        lr: Adam's learning rate.
        initial: First value of lambda.
        **keywords: See `DualVariable`.
    """

    def __init__(self, target: float = 1.5, lr: float = 0.01, initial: float = 1.0, **keywords: Any):
        super().__init__(initial, target, lr=lr, **keywords)

    def update(self, penalty: Tensor) -> Tensor:
        """Take one step, given the mean penalty without its weight, a 0-d tensor; returns the loss."""
        return super().update(self.value * penalty)
