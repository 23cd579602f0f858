"""Networks of the maximum-entropy agents: a squashed Gaussian actor, a categorical actor, and twin critics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from envzoo.agents.losses.distributions import sample_categorical, sample_squashed_gaussian
from envzoo.agents.networks.action import MaskReader
from envzoo.agents.networks.encoders import EncodedLinear, make_encoder
from envzoo.agents.networks.layers import EnsembleMLP
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.scalar_ensemble import ScalarEnsemble

LOG_STD_RANGE = (-20.0, 2.0)


class SquashedGaussianActor(EncodedLinear):
    """Squashed Gaussian policy pi(a|s): a = tanh(u), u ~ N(mean(s), exp(log_std(s))^2).

    Args:
        codec: Observation codec.
        dim: D, number of action dimensions.
        **network: Arguments of `EncodedLinear`, with a memoryless encoder.
    """

    def __init__(self, codec: ObservationCodec, dim: int, **network: Any):
        super().__init__(codec, 2 * dim, gain=None, **network)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean and log standard deviation before squashing, (N, D) each, for packed observations x (N, P)."""
        mean, log_std = self.head(self.encoder.features(x)).chunk(2, dim=-1)
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def sample(self, x: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Sample reparameterised actions in (-1, 1), (N, D), and their log-densities (N,)."""
        return sample_squashed_gaussian(*self(x), generator)

    def act(self, x: Tensor, generator: torch.Generator | None, deterministic: bool) -> Tensor:
        """Select actions (N, D): tanh of the mean, or samples."""
        mean, log_std = self(x)
        if not deterministic:
            mean = torch.empty_like(mean).normal_(generator=generator).mul_(log_std.exp()).add_(mean)
        return mean.tanh()


class CategoricalActor(EncodedLinear):
    """Categorical policy pi(a|s) = softmax(logits(s)).

    `actions` is A, the number of actions; the other arguments are those of `SquashedGaussianActor`.
    """

    def __init__(self, codec: ObservationCodec, actions: int, **network: Any):
        # Small weights in the last layer make the initial policy nearly uniform.
        super().__init__(codec, actions, gain=0.01, **network)
        self.masks = MaskReader(codec, actions)

    def forward(self, x: Tensor) -> Tensor:
        """Compute log-probabilities (N, A) for packed observations x (N, P); -inf for masked actions."""
        return self.masks.restrict(self.head(self.encoder.features(x)), x).log_softmax(dim=-1)

    def act(self, x: Tensor, generator: torch.Generator | None, deterministic: bool) -> Tensor:
        """Select actions (N,): the most probable, or samples."""
        log_probs = self(x)
        return log_probs.argmax(dim=-1) if deterministic else sample_categorical(log_probs, generator)


class TwinQ(nn.Module):
    """Two independent critics Q(s, a), or Q(s, .) for all actions, evaluated as one batched network.

    Without images both critics are batched entirely. With images they share one convolutional encoder, which is trained
    by the critics' loss only; the actor has its own encoder.

    Args:
        codec: Observation codec.
        action_dim: D, dimension of the action input; 0 when there is one output per action.
        outputs: Outputs per critic: 1, or the number of discrete actions.
        encoder: "auto", "mlp" or "cnn".
        hidden: Hidden layer sizes.
        activation: Name of the activation function.
        generator: Generator of the initial weights.
    """

    MEMBERS = 2

    def __init__(
        self,
        codec: ObservationCodec,
        action_dim: int,
        outputs: int,
        *,
        encoder: str,
        hidden: Sequence[int],
        activation: str,
        generator: torch.Generator,
    ):
        super().__init__()
        self.codec = codec
        images = encoder == "cnn" or (encoder == "auto" and bool(codec.images))
        self.encoder = make_encoder(encoder, codec, hidden[:1], activation, generator) if images else None
        inputs = (self.encoder.out_dim if images else codec.vector_dim) + action_dim
        if action_dim:
            self.net: nn.Module = ScalarEnsemble(self.MEMBERS, inputs, hidden, activation, generator)
        else:
            self.net = EnsembleMLP(self.MEMBERS, inputs, hidden, outputs, activation, generator)

    def encode(self, x: Tensor) -> Tensor:
        """Compute the critics' features of packed observations x (N, P): (N, F)."""
        return self.codec.vector(x) if self.encoder is None else self.encoder.features(x)

    def forward(self, x: Tensor, action: Tensor | None = None) -> Tensor:
        """Compute the values of packed observations x (N, P) and actions (N, D): (2, N); without actions (2, N, A)."""
        return self.evaluate(self.encode(x), action)

    def evaluate(self, features: Tensor, action: Tensor | None = None) -> Tensor:
        """Compute the values as `forward` does, from the features that `encode` returned."""
        return self.net(features if action is None else torch.cat([features, action], dim=-1))

    def evaluate_first(self, features: Tensor, action: Tensor) -> Tensor:
        """Compute the values of the first critic alone, (N,), from the features that `encode` returned."""
        return self.net.member(torch.cat([features, action], dim=-1), 0)
