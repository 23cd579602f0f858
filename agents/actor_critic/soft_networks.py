"""Networks of the maximum-entropy agents: a squashed Gaussian actor, a categorical actor, and twin critics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from envzoo.agents.losses.distributions import sample_categorical, sample_squashed_gaussian
from envzoo.agents.networks.action import MaskReader
from envzoo.agents.networks.encoders import EncodedLinear, is_recurrent, make_encoder
from envzoo.agents.networks.layers import EnsembleMLP
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.scalar_ensemble import ScalarEnsemble
from envzoo.agents.networks.seen import Recalled, Seen, features_of, packed_of

LOG_STD_RANGE = (-20.0, 2.0)
Observed = Tensor | Seen | Recalled  # packed observations (N, P), or observations with a past


class SquashedGaussianActor(EncodedLinear):
    """Squashed Gaussian policy pi(a|s): a = tanh(u), u ~ N(mean(s), exp(log_std(s))^2).

    Args:
        codec: Observation codec.
        dim: D, number of action dimensions.
        **network: Arguments of `EncodedLinear`; an encoder with a memory reads observations with a past.
    """

    def __init__(self, codec: ObservationCodec, dim: int, **network: Any):
        super().__init__(codec, 2 * dim, gain=None, **network)
        self.columns = slice(0, self.encoder.state_dim)

    def forward(self, x: Observed) -> tuple[Tensor, Tensor]:
        """Compute mean and log standard deviation before squashing, (N, D) each, for packed observations x (N, P)."""
        mean, log_std = self.head(features_of(self.encoder, x, self.columns)).chunk(2, dim=-1)
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def sample(self, x: Observed, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Sample reparameterised actions in (-1, 1), (N, D), and their log-densities (N,)."""
        return sample_squashed_gaussian(*self(x), generator)

    def act(self, x: Observed, generator: torch.Generator | None, deterministic: bool) -> Tensor:
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
        self.columns = slice(0, self.encoder.state_dim)

    def forward(self, x: Observed) -> Tensor:
        """Compute log-probabilities (N, A) for packed observations x (N, P); -inf for masked actions."""
        logits = self.head(features_of(self.encoder, x, self.columns))
        return self.masks.restrict(logits, packed_of(x)).log_softmax(dim=-1)

    def act(self, x: Observed, generator: torch.Generator | None, deterministic: bool) -> Tensor:
        """Select actions (N,): the most probable, or samples."""
        log_probs = self(x)
        return log_probs.argmax(dim=-1) if deterministic else sample_categorical(log_probs, generator)


class TwinQ(nn.Module):
    """Two independent critics Q(s, a), or Q(s, .) for all actions, evaluated as one batched network.

    Without images both critics are batched entirely. With images, or with a memory, they share one encoder, which is
    trained by the critics' loss only; the actor has its own encoder. An encoder with a memory has all of the hidden
    layers, and the critics one more of the last size.

    Args:
        codec: Observation codec.
        action_dim: D, dimension of the action input; 0 when there is one output per action.
        outputs: Outputs per critic: 1, or the number of discrete actions.
        encoder: Name of an encoder, or one of your own; see `make_encoder`.
        hidden: Hidden layer sizes.
        activation: Name of the activation function.
        generator: Generator of the initial weights.

    Attributes:
        encoder: The shared encoder, or None.
        columns: Columns of its memory in the state of `Recalled` observations.
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
        plain = encoder == "mlp" or (encoder == "auto" and not codec.images)
        remembers, last = is_recurrent(encoder), hidden[-1:]
        before, hidden = (hidden, last) if remembers else (hidden[:1], hidden)
        self.encoder = None if plain else make_encoder(encoder, codec, before, activation, generator)
        self.columns = slice(0, 0 if plain else self.encoder.state_dim)
        inputs = (codec.vector_dim if plain else self.encoder.out_dim) + action_dim
        if action_dim:
            self.net: nn.Module = ScalarEnsemble(self.MEMBERS, inputs, hidden, activation, generator)
        else:
            self.net = EnsembleMLP(self.MEMBERS, inputs, hidden, outputs, activation, generator)

    def encode(self, x: Observed) -> Tensor:
        """Compute the critics' features of packed observations x (N, P): (N, F)."""
        return self.codec.vector(x) if self.encoder is None else features_of(self.encoder, x, self.columns)

    def forward(self, x: Observed, action: Tensor | None = None) -> Tensor:
        """Compute the values of packed observations x (N, P) and actions (N, D): (2, N); without actions (2, N, A)."""
        return self.evaluate(self.encode(x), action)

    def evaluate(self, features: Tensor, action: Tensor | None = None) -> Tensor:
        """Compute the values as `forward` does, from the features that `encode` returned."""
        return self.net(features if action is None else torch.cat([features, action], dim=-1))

    def evaluate_first(self, features: Tensor, action: Tensor) -> Tensor:
        """Compute the values of the first critic alone, (N,), from the features that `encode` returned."""
        return self.net.member(torch.cat([features, action], dim=-1), 0)
