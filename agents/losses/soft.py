"""Losses of Soft Actor-Critic, for continuous (arXiv 1812.05905) and discrete (arXiv 1910.07207) actions.

Functions that compute a critic's target or a weight for another network do not detach their inputs: callers compute
targets under `torch.no_grad()`, and differentiate each loss with respect to the parameters of one network only. The
exception is `temperature_loss`, whose entropy is a measurement and is always detached.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from envzoo.agents.losses.distributions import finite
from envzoo.errors import unknown

REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "min": lambda q: torch.minimum(*q.unbind(0)) if len(q) == 2 else q.amin(dim=0),
    "mean": lambda q: q.mean(dim=0),
}


def reduce_critics(q: Tensor, how: str) -> Tensor:
    """Reduce the values of M critics to one: (M, ...) -> (...).

    Args:
        q: Values of the critics.
        how: "min" (the pessimistic estimate of the paper) or "mean" (used in the actor's loss of the published code).

    Raises:
        UnknownNameError: An unknown reduction.
    """
    if how not in REDUCTIONS:
        raise unknown("reduction of critics", how, REDUCTIONS)
    return REDUCTIONS[how](q)


def td_target(reward: Tensor, terminated: Tensor, next_value: Tensor, gamma: float) -> Tensor:
    """Compute y = r + gamma (1 - terminated) V(s') (equation 2 of 1812.05905); truncated episodes bootstrap.

    Args:
        reward: (N,).
        terminated: (N,) float, 1 where the episode terminated; 0 where it continued or was truncated.
        next_value: (N,) soft value of the true next observation.
        gamma: Discount factor.

    Returns:
        Targets (N,).
    """
    return torch.addcmul(reward, 1.0 - terminated, next_value, value=gamma)


def soft_value(q: Tensor, log_prob: Tensor, alpha: Tensor | float) -> Tensor:
    """Compute the one-sample soft value V = min_i Q_i(s, a) - alpha log pi(a|s), a ~ pi (equation 3 of 1812.05905).

    Args:
        q: (M, N) critics' values of an action sampled from the policy.
        log_prob: (N,) log-probability of that action.
        alpha: Temperature, a number or a 0-d tensor.

    Returns:
        (N,).
    """
    return reduce_critics(q, "min") - alpha * log_prob


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """Compute the sum over critics of the mean of 1/2 (Q_i - y)^2 (equation 5 of 1812.05905).

    The sum gives each critic the gradient of its own loss.

    Args:
        q: (M, N).
        target: (N,) without gradient.

    Returns:
        Scalar.
    """
    return (q - target).square().sum() * (0.5 / target.shape[0])


def actor_loss(q: Tensor, log_prob: Tensor, alpha: Tensor | float, how: str = "min") -> Tensor:
    """Compute the mean of alpha log pi(a|s) - Q(s, a), with a reparameterised (equation 9 of 1812.05905).

    Args:
        q: (M, N) critics' values of the actions, differentiable in the actions.
        log_prob: (N,).
        alpha: Temperature without gradient.
        how: How the critics are reduced, see `reduce_critics`.

    Returns:
        Scalar.
    """
    return (alpha * log_prob - reduce_critics(q, how)).mean()


def temperature_loss(log_alpha: Tensor, entropy: Tensor, target_entropy: float) -> Tensor:
    """Compute J(alpha) = alpha (H - target) (equation 18 of 1812.05905, equation 11 of 1910.07207).

    Its gradient with respect to log alpha is alpha (H - target): the temperature decreases while the policy's entropy
    is above the target, and increases while it is below.

    Args:
        log_alpha: 0-d parameter.
        entropy: 0-d, entropy of the policy in nats, averaged over the batch (a sum would scale the learning rate).
        target_entropy: Target entropy in nats.

    Returns:
        Scalar.
    """
    return log_alpha.exp() * (entropy.detach() - target_entropy)


def discrete_soft_value(q: Tensor, log_probs: Tensor, alpha: Tensor | float) -> Tensor:
    """Compute the exact soft value V = sum_a pi(a|s) (min_i Q_i(s, a) - alpha log pi(a|s)) (equation 10 of 1910.07207).

    Args:
        q: (M, N, A).
        log_probs: (N, A) log-probabilities of all actions, -inf for those that are not allowed.
        alpha: Temperature.

    Returns:
        (N,).
    """
    return (log_probs.exp() * (reduce_critics(q, "min") - alpha * finite(log_probs))).sum(dim=-1)


def discrete_actor_loss(q: Tensor, log_probs: Tensor, alpha: Tensor | float, how: str = "min") -> Tensor:
    """Compute the mean over states of sum_a pi(a|s) (alpha log pi(a|s) - Q(s, a)) (equation 12 of 1910.07207).

    Args:
        q: (M, N, A) without gradient.
        log_probs: (N, A).
        alpha: Temperature without gradient.
        how: How the critics are reduced, see `reduce_critics`.

    Returns:
        Scalar.
    """
    return (log_probs.exp() * (alpha * finite(log_probs) - reduce_critics(q, how))).sum(dim=-1).mean()
