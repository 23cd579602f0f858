"""Actor and twin critics with closed-form gradients (`networks.perceptron_gradients`), under `torch.no_grad`."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from envzoo.agents.actor_critic.soft_networks import LOG_STD_RANGE, SquashedGaussianActor, TwinQ
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.soft import actor_loss, critic_loss
from envzoo.agents.losses.squashing import squash, squash_backward
from envzoo.agents.networks.perceptron_gradients import ClosedFormEnsemble, ClosedFormMLP
from envzoo.agents.optim import FlatOptimizer
from envzoo.agents.optim.denormals import apply_flushed


class ClosedFormActor:
    """A `SquashedGaussianActor` without autograd; `evaluate`, `sample`, and then `backward`."""

    def __init__(self, actor: SquashedGaussianActor):
        self.codec, self.mlp = actor.encoder.codec, ClosedFormMLP(actor.encoder, actor.head)

    def evaluate(self, x: Tensor) -> None:
        """Evaluate packed observations (N, P)."""
        self.parameters = self.mlp.forward(self.codec.vector(x))

    def sample(self, rows: slice, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Sample actions (n, D) and their log-densities (n,) for rows of the observations."""
        mean, self.raw_log_std = self.parameters[rows].chunk(2, dim=-1)
        noise = torch.empty_like(mean).normal_(generator=generator)
        self.action, log_prob, self.spread = squash(mean, self.raw_log_std.clamp(*LOG_STD_RANGE), noise)
        return self.action, log_prob

    def backward(self, by_action: Tensor, by_log_prob: Tensor) -> None:
        """Write the derivatives by the parameters to their `grad`, for the last `sample`, of the first rows.

        Args:
            by_action: (n, D), derivative of the loss by the actions.
            by_log_prob: (n,), or a number for all, derivative by the log-densities.
        """
        by_mean, by_log_std = squash_backward(self.action, self.spread, by_action, by_log_prob)
        low, high = LOG_STD_RANGE
        by_log_std.mul_((self.raw_log_std >= low) & (self.raw_log_std <= high))
        self.mlp.backward(torch.cat([by_mean, by_log_std], dim=-1))


class ActorStep(NamedTuple):
    """The actor's loss, and the log-densities (N,) of its actions."""

    loss: Tensor
    log_prob: Tensor


class ClosedFormSoft:
    """SAC's actor and critics without autograd.

    Args:
        actor: The actor.
        critics: The critics; both have the form that `make` asks for.
        target: The target critics.
    """

    def __init__(self, actor: SquashedGaussianActor, critics: TwinQ, target: TwinQ):
        self.codec, self.actor = critics.codec, ClosedFormActor(actor)
        self.critics, self.target = ClosedFormEnsemble(critics.net), ClosedFormEnsemble(target.net)

    @classmethod
    def make(cls, actor: nn.Module, critics: nn.Module, target: nn.Module) -> ClosedFormSoft | None:
        """Return an instance, or None where actor and critics are no plain perceptrons on the CPU."""
        if type(actor) is not SquashedGaussianActor or not twins_fit(critics):
            return None
        return cls(actor, critics, target) if ClosedFormMLP.fits(actor.encoder) else None

    def evaluate_next(self, observation: Tensor, rows: slice, generator: Any) -> tuple[Tensor, Tensor]:
        """Compute the target critics' values (2, N) of sampled actions, and the log-densities (N,) of these.

        `observation`, (N, P) packed, are the given rows of those that `actor.evaluate` was given.
        """
        action, log_prob = self.actor.sample(rows, generator)
        return self.target.forward(torch.cat([self.codec.vector(observation), action], dim=-1)), log_prob

    def step_of_critics(self, batch: Batch, y: Tensor, optimizer: FlatOptimizer) -> tuple[Tensor, Tensor]:
        """Take the critics' gradient step on `envzoo.agents.losses.soft.critic_loss`; returns it and the values."""
        q = self.critics.forward(torch.cat([self.codec.vector(batch.observation), batch.action], dim=-1))
        self.critics.backward((q - y).div_(len(y)))
        apply_flushed(optimizer)
        return critic_loss(q, y), q

    def step_of_actor(
        self, observation: Tensor, generator: Any, alpha: Tensor, how: str, optimizer: FlatOptimizer
    ) -> ActorStep:
        """Take the actor's gradient step (`envzoo.agents.losses.soft.actor_loss`).

        Args:
            observation: (N, P) packed, the first rows of those that `actor.evaluate` was given.
            generator: Generator of the noise.
            alpha: Temperature, 0-d.
            how: How the critics are reduced.
            optimizer: The actor's optimizer.
        """
        n = len(observation)
        action, log_prob = self.actor.sample(slice(n), generator)
        q = self.critics.forward(torch.cat([self.codec.vector(observation), action], dim=-1))
        by_action = self.critics.by_input(reduction_gradient(q, how).mul_(-1 / n), action.shape[1])
        self.actor.backward(by_action, alpha / n)
        apply_flushed(optimizer)
        return ActorStep(actor_loss(q, log_prob, alpha, how), log_prob)


def reduction_gradient(q: Tensor, how: str) -> Tensor:
    """Compute the derivative of `reduce_critics` by the values of two critics, (2, N); equal values count as Q_1's."""
    if how == "mean":
        return torch.full_like(q, 0.5)
    first = (q[0] <= q[1]).to(q.dtype)
    return torch.stack([first, 1 - first])


def twins_fit(critics: nn.Module) -> bool:
    """Return whether critics are plain perceptrons of observation and action, on the CPU."""
    return type(critics) is TwinQ and critics.encoder is None and ClosedFormEnsemble.fits(critics.net)
