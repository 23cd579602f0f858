"""Dichotomy of Control with transformers: a Gaussian latent of a chunk of the episode, and a critic of luck."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from envzoo.agents.networks.layers import MLP, linear
from envzoo.agents.networks.sequence.closed import CausalTransformer
from envzoo.agents.offline.sequence_agent import SequenceConfig

PAIRS = 256  # most pairs of context and outcome that the critic tells apart at once


class ReverseGradient(torch.autograd.Function):
    """The identity, whose gradient has the opposite sign."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        """Return x."""
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        """Return the gradient with the opposite sign."""
        return -gradient


class Chunk(NamedTuple):
    """B chunks of at most L steps, padded at their ends.

    Attributes:
        observation: (B, L, O) features of the observations.
        action: (B, L) int64, or (B, L, D).
        reward: (B, L), scaled.
        before: (B, L), the reward of the step before, 0 at the first step of a chunk.
        next_observation: (B, L, O).
        to_go: (B, L) normalised returns to go.
        mask: (B, L) bool.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor
    before: Tensor
    next_observation: Tensor
    to_go: Tensor
    mask: Tensor


def info_nce(context: Tensor, outcome: Tensor) -> Tensor:
    """Compute mean_i [f_ii - log mean_j exp f_ij] with f_ij = context_i . outcome_j / sqrt(d); (N, d), (N, d) -> ().

    It is at most log N, and a lower bound of the mutual information of the two.
    """
    scores = context @ outcome.T / math.sqrt(context.shape[1])
    return (scores.diagonal() - torch.logsumexp(scores, dim=1)).mean() + math.log(len(scores))


def gaussian_kl(mean: Tensor, log_std: Tensor, other_mean: Tensor, other_log_std: Tensor) -> Tensor:
    """Compute KL(N(mean, std^2) || N(other_mean, other_std^2)) summed over the last dimension."""
    ratio = (2 * (log_std - other_log_std)).exp()
    distance = ((mean - other_mean) * (-other_log_std).exp()).square()
    return (0.5 * (ratio + distance - 1) + other_log_std - log_std).sum(dim=-1)


class DocNetworks(nn.Module):
    """Networks of the past, the chunk and the prior, and heads of policy, value and critic.

    Args:
        observation_dim: O, features of an observation.
        action_dim: A for discrete actions, D for Box ones.
        discrete: Which of them.
        config: Sizes.
        latent_dim: Size of the latent.
        hidden: Hidden layer sizes of the heads.
        generator: Source of the initial weights.
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        discrete: bool,
        config: SequenceConfig,
        latent_dim: int,
        hidden: tuple[int, ...],
        generator: torch.Generator,
    ):
        super().__init__()
        width, self.discrete, self.action_dim, self.latent_dim = config.width, discrete, action_dim, latent_dim
        self.read_observation = linear(observation_dim, width, generator, gain=None)
        self.read_action = linear(action_dim, width, generator, gain=None)
        self.read_reward = linear(1, width, generator, gain=None)
        shape = (width, config.layers, config.heads, config.context, 3, generator)
        self.past, self.chunk = CausalTransformer(*shape), CausalTransformer(*shape)
        self.posterior = linear(width, 2 * latent_dim, generator, gain=0.1)
        self.prior_head = nn.Sequential(
            MLP(observation_dim, hidden, "tanh", generator), linear(hidden[-1], 2 * latent_dim, generator, gain=0.1)
        )

        def head(inputs: int, outputs: int, gain: float | None) -> nn.Sequential:
            return nn.Sequential(
                MLP(inputs, hidden, "tanh", generator), linear(hidden[-1], outputs, generator, gain=gain)
            )

        self.action_head = head(width + latent_dim, action_dim, 0.01)
        self.value_head = head(width + latent_dim, 1, 0.01)
        self.critic_context = head(width + latent_dim, 32, None)
        self.critic_outcome = head(1 + observation_dim, 32, None)

    def _acted(self, action: Tensor) -> Tensor:
        return nn.functional.one_hot(action, self.action_dim).float() if self.discrete else action

    def contexts(self, observation: Tensor, action: Tensor, before: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode the past: features before and after each action, (B, L, width) each."""
        tokens = [
            self.read_reward(before[..., None]),
            self.read_observation(observation),
            self.read_action(self._acted(action)),
        ]
        features = self.past(torch.stack(tokens, dim=2), mask)
        return features[:, :, 1], features[:, :, 2]

    def encode(self, chunk: Chunk) -> tuple[Tensor, Tensor]:
        """Compute mean and log standard deviation of q(z | chunk), (B, latent_dim) each."""
        tokens = [
            self.read_observation(chunk.observation),
            self.read_action(self._acted(chunk.action)),
            self.read_reward(chunk.reward[..., None]),
        ]
        features = self.chunk(torch.stack(tokens, dim=2), chunk.mask)[:, :, 2]
        last = chunk.mask.sum(dim=1) - 1
        mean, log_std = self.posterior(features[torch.arange(len(last)), last]).chunk(2, dim=-1)
        return mean, log_std.clamp(-5, 2)

    def prior(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean and log standard deviation of p(z | s), (B, latent_dim) each, at the first step of a chunk."""
        mean, log_std = self.prior_head(observation).chunk(2, dim=-1)
        return mean, log_std.clamp(-5, 2)

    def policy(self, features: Tensor, z: Tensor) -> Tensor:
        """Compute logits (..., A), or means (..., D) in [-1, 1]."""
        output = self.action_head(torch.cat([features, z], dim=-1))
        return output if self.discrete else torch.tanh(output)

    def value(self, features: Tensor, z: Tensor) -> Tensor:
        """Compute the normalised value, (...)."""
        return self.value_head(torch.cat([features, z], dim=-1))[..., 0]

    def luck(self, features: Tensor, z: Tensor, chunk: Chunk, minimax: bool) -> Tensor:
        """Estimate how much z tells about rewards and next states beyond the past and the action, a lower bound.

        With `minimax`, the gradient with respect to z is reversed: a loss of minus this number makes the critic better
        and z less informative.
        """
        mask = chunk.mask.reshape(-1)
        rows = torch.nonzero(mask)[:, 0][:PAIRS]
        z = z[:, None].expand(*chunk.mask.shape, self.latent_dim)
        z = ReverseGradient.apply(z) if minimax else z
        context = torch.cat([features.detach(), z], dim=-1).reshape(len(mask), -1)[rows]
        outcome = torch.cat([chunk.reward[..., None], chunk.next_observation], dim=-1).reshape(len(mask), -1)[rows]
        return info_nce(self.critic_context(context), self.critic_outcome(outcome))
