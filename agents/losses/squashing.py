"""The squashed Gaussian of `envzoo.agents.losses.distributions` in two steps, for closed-form gradients."""

from __future__ import annotations

from torch import Tensor

from envzoo.agents.losses.distributions import LOG_SQRT_2PI, log_tanh_derivative


def squash(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute a = tanh(u) of u = mean + std * noise with log pi(a), and what `squash_backward` needs.

    Args:
        mean: (..., D).
        log_std: (..., D).
        noise: (..., D), standard normal.

    Returns:
        Action (..., D), log pi(a) (...), and std * noise (..., D).
    """
    spread = log_std.exp() * noise
    u = mean + spread
    density = (noise * noise).mul_(-0.5).sub_(log_std).sub_(log_tanh_derivative(u))
    return u.tanh(), density.sum(dim=-1).sub_(LOG_SQRT_2PI * mean.shape[-1]), spread


def squash_backward(action: Tensor, spread: Tensor, by_action: Tensor, by_log_prob: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the derivatives of a loss by mean and log_std of `squash`, both (..., D).

    With u before squashing: da/du = 1 - a^2, d log pi/du = 2 a, and d log pi/d log_std has a further -1.

    Args:
        action: (..., D), returned by `squash`.
        spread: (..., D), likewise.
        by_action: (..., D), derivative by the action.
        by_log_prob: (...), derivative by log pi(a), or a number for all.
    """
    weight = by_log_prob[..., None]
    by_mean = by_action * (1 - action * action) + weight * (2 * action)
    return by_mean, by_mean * spread - weight
