"""Policies and state values of the offline agents, for Box and Discrete actions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from envzoo.agents.actor_critic.soft_networks import CategoricalActor, TwinQ
from envzoo.agents.losses.distributions import gaussian_log_prob
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.encoders import make_encoder
from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.offline.config import OfflineConfig


class GaussianPolicy(nn.Module):
    """Gaussian policy whose standard deviation does not depend on the state.

    Args:
        codec: Observation codec.
        dim: D, number of action dimensions.
        encoder: Name of a memoryless encoder.
        hidden: Hidden layer sizes.
        activation: Name of the activation function.
        generator: Generator of the initial weights.
        squash: Put the mean through tanh.
        log_std_range: Bounds of the logarithm of the standard deviation.
    """

    def __init__(
        self,
        codec: ObservationCodec,
        dim: int,
        *,
        encoder: str,
        hidden: Sequence[int],
        activation: str,
        generator: torch.Generator,
        squash: bool = True,
        log_std_range: tuple[float, float] = (-20.0, 2.0),
    ):
        super().__init__()
        self.encoder = make_encoder(encoder, codec, hidden, activation, generator)
        self.head = linear(self.encoder.out_dim, dim, generator, gain=0.01)
        self.log_std = nn.Parameter(torch.zeros(dim))
        self.squash, self.log_std_range = squash, log_std_range

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean (N, D) and log standard deviation (D,)."""
        mean = self.head(self.encoder.features(x))
        return (torch.tanh(mean) if self.squash else mean), self.log_std.clamp(*self.log_std_range)

    def log_prob(self, x: Tensor, action: Tensor) -> Tensor:
        """Compute the log-density of actions (N, D), (N,)."""
        return gaussian_log_prob(*self(x), action)

    def act(self, x: Tensor, generator: torch.Generator | None, deterministic: bool) -> Tensor:
        """Select the mean, or sample, within [-1, 1]."""
        mean, log_std = self(x)
        if not deterministic:
            mean = mean + log_std.exp() * torch.empty_like(mean).normal_(generator=generator)
        return mean.clamp(-1, 1)


class CategoricalPolicy(CategoricalActor):
    """Categorical policy with the log-probability of given actions."""

    def log_prob(self, x: Tensor, action: Tensor) -> Tensor:
        """Compute the log-probability of actions (N,), (N,)."""
        return self(x).gather(-1, action[:, None])[:, 0]


class StateValue(nn.Module):
    """V(s): packed observations (N, P) -> (N,)."""

    def __init__(
        self,
        codec: ObservationCodec,
        *,
        encoder: str,
        hidden: Sequence[int],
        activation: str,
        generator: torch.Generator,
    ):
        super().__init__()
        self.encoder = make_encoder(encoder, codec, hidden, activation, generator)
        self.head = linear(self.encoder.out_dim, 1, generator, gain=None)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the values."""
        return self.head(self.encoder.features(x))[:, 0]


def shape_of(config: OfflineConfig, generator: torch.Generator) -> dict[str, object]:
    """Return the keywords of networks: encoder, hidden, activation and generator."""
    return {
        "encoder": config.encoder,
        "hidden": config.hidden,
        "activation": config.activation,
        "generator": generator,
    }


def make_policy(
    codec: ObservationCodec, actions: ActionCodec, *, squash: bool = True, log_std_range=(-20.0, 2.0), **shape
) -> GaussianPolicy | CategoricalPolicy:
    """Make the policy for an action space."""
    if actions.discrete:
        return CategoricalPolicy(codec, actions.n, **shape)
    return GaussianPolicy(codec, actions.dim, squash=squash, log_std_range=log_std_range, **shape)


def make_critics(codec: ObservationCodec, actions: ActionCodec, **shape) -> TwinQ:
    """Make two critics: Q(s, a) for Box actions, Q(s, .) for Discrete ones."""
    return TwinQ(codec, 0, actions.n, **shape) if actions.discrete else TwinQ(codec, actions.dim, 1, **shape)


def values_of(critics: TwinQ, x: Tensor, action: Tensor) -> Tensor:
    """Compute Q_i(s, a) of both critics, (2, N), for actions (N, D) or (N,) int64."""
    if action.dtype.is_floating_point:
        return critics(x, action)
    return critics(x).gather(-1, action.expand(TwinQ.MEMBERS, -1)[..., None])[..., 0]
