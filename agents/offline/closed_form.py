"""Networks of the offline agents with closed-form gradients, see `envzoo.agents.networks.perceptron_gradients`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from envzoo.agents.actor_critic.closed_form import twins_fit
from envzoo.agents.actor_critic.soft_networks import TwinQ
from envzoo.agents.imitation.bc import DeterministicPolicy
from envzoo.agents.losses.distributions import gaussian_log_prob
from envzoo.agents.networks.perceptron_gradients import ClosedFormEnsemble, ClosedFormMLP
from envzoo.agents.offline.networks import GaussianPolicy, StateValue


class ClosedFormTD3(NamedTuple):
    """Actor and critics of TD3, and their targets, without autograd; outputs of the actors are before squashing."""

    actor: ClosedFormMLP
    critics: ClosedFormEnsemble
    target_actor: ClosedFormMLP
    target: ClosedFormEnsemble

    @classmethod
    def make(
        cls, actor: DeterministicPolicy, critics: TwinQ, target_actor: DeterministicPolicy, target: TwinQ
    ) -> ClosedFormTD3 | None:
        """Return an instance, or None where actor and critics are no plain perceptrons on the CPU."""
        if not (twins_fit(critics) and ClosedFormMLP.fits(actor.encoder)):
            return None
        actors = (ClosedFormMLP(part.encoder, part.head) for part in (actor, target_actor))
        ensembles = (ClosedFormEnsemble(part.net) for part in (critics, target))
        first, second = zip(actors, ensembles, strict=True)
        return cls(*first, *second)


class ClosedFormGaussian:
    """A `GaussianPolicy` without autograd."""

    def __init__(self, policy: GaussianPolicy):
        self.policy, self.mlp = policy, ClosedFormMLP(policy.encoder, policy.head)

    def log_prob(self, x: Tensor, action: Tensor) -> Tensor:
        """Compute the log-density of actions (N, D) at inputs x, (N,), and keep what `backward` needs."""
        mean = self.mlp.forward(x)
        self.mean = mean.tanh() if self.policy.squash else mean
        log_std = self.policy.log_std.clamp(*self.policy.log_std_range)
        self.precision = torch.exp(-log_std)
        self.z = (action - self.mean) * self.precision
        return gaussian_log_prob(self.mean, log_std, action)

    def backward(self, by_log_prob: Tensor) -> None:
        """Write the derivatives by the parameters, given those by the log-densities, (N,)."""
        by_log_prob, log_std = by_log_prob[:, None], self.policy.log_std
        low, high = self.policy.log_std_range
        torch.sum(by_log_prob * (self.z * self.z - 1), dim=0, out=log_std.grad)
        log_std.grad.mul_((log_std >= low) & (log_std <= high))
        by_mean = by_log_prob * self.z * self.precision
        self.mlp.backward(torch.ops.aten.tanh_backward(by_mean, self.mean) if self.policy.squash else by_mean)


class ClosedFormIQL(NamedTuple):
    """Policy, V and critics of IQL, and the target of the critics, without autograd."""

    policy: ClosedFormGaussian
    value: ClosedFormMLP
    critics: ClosedFormEnsemble
    target: ClosedFormEnsemble

    @classmethod
    def make(cls, policy: nn.Module, value: StateValue, critics: TwinQ, target: TwinQ) -> ClosedFormIQL | None:
        """Return an instance, or None for Discrete actions or where a network is no plain perceptron on the CPU."""
        if type(policy) is not GaussianPolicy or not twins_fit(critics):
            return None
        if not (ClosedFormMLP.fits(policy.encoder) and ClosedFormMLP.fits(value.encoder)):
            return None
        ensembles = (ClosedFormEnsemble(part.net) for part in (critics, target))
        return cls(ClosedFormGaussian(policy), ClosedFormMLP(value.encoder, value.head), *ensembles)


def fit_critics(critics: ClosedFormEnsemble, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Write the gradient of the critics' loss sum_i mean_n (Q_i(x_n) - y_n)^2.

    Args:
        critics: M critics.
        x: (N, inputs).
        y: (N,).

    Returns:
        The loss, and the values (M, N).
    """
    q = critics.forward(x)
    error = q - y
    loss = (error * error).sum() / len(y)
    critics.backward(error.mul_(2 / len(y)))
    return loss, q
