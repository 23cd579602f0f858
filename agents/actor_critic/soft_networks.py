"""Networks of the maximum-entropy agents: a squashed Gaussian actor, a categorical actor, and twin critics."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from envzoo.agents.losses.distributions import sample_categorical, sample_squashed_gaussian
from envzoo.agents.networks.action import MaskReader
from envzoo.agents.networks.encoders import make_encoder
from envzoo.agents.networks.layers import EnsembleMLP, linear
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.scalar_ensemble import ScalarEnsemble

LOG_STD_RANGE = (-20.0, 2.0)


class SquashedGaussianActor(nn.Module):
    """pi(a|s): a = tanh(u), u normal with mean and log standard deviation from the observation.

    Args:
        codec: Observations.
        dim: D, dimensions of an action.
        encoder: Name of a memoryless encoder.
        hidden: Widths of its hidden layers.
        activation: Name of its activation.
        generator: Source of the initial weights.
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
    ):
        super().__init__()
        self.encoder = make_encoder(encoder, codec, hidden, activation, generator)
        self.head = linear(self.encoder.out_dim, 2 * dim, generator, gain=None)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation before squashing, (N, D) each, of packed observations x (N, P)."""
        mean, log_std = self.head(self.encoder.features(x)).chunk(2, dim=-1)
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def sample(self, x: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Reparameterised actions in (-1, 1), (N, D), and their log-densities (N,)."""
        return sample_squashed_gaussian(*self(x), generator)

    def act(self, x: Tensor, generator: torch.Generator | None, deterministic: bool) -> Tensor:
        """Actions (N, D): tanh of the mean, or samples."""
        mean, log_std = self(x)
        if not deterministic:
            mean = torch.empty_like(mean).normal_(generator=generator).mul_(log_std.exp()).add_(mean)
        return mean.tanh()


class CategoricalActor(nn.Module):
    """pi(a|s) = softmax of one logit per action; arguments as for `SquashedGaussianActor`; `actions` is A."""

    def __init__(
        self,
        codec: ObservationCodec,
        actions: int,
        *,
        encoder: str,
        hidden: Sequence[int],
        activation: str,
        generator: torch.Generator,
    ):
        super().__init__()
        self.encoder = make_encoder(encoder, codec, hidden, activation, generator)
        # A small last layer starts the policy near uniform.
        self.head = linear(self.encoder.out_dim, actions, generator, gain=0.01)
        self.masks = MaskReader(codec, actions)

    def forward(self, x: Tensor) -> Tensor:
        """Compute log-probabilities (N, A) of packed observations x (N, P); -inf for actions that are masked."""
        return self.masks.restrict(self.head(self.encoder.features(x)), x).log_softmax(dim=-1)

    def act(self, x: Tensor, generator: torch.Generator | None, deterministic: bool) -> Tensor:
        """Actions (N,): the most probable, or samples."""
        log_probs = self(x)
        return log_probs.argmax(dim=-1) if deterministic else sample_categorical(log_probs, generator)


class TwinQ(nn.Module):
    """Two independent critics evaluated as one batched network, Q(s, a) or all of Q(s, .).

    Without images the whole of both critics is batched. With images they share one convolutional encoder, which is
    trained by the critics' loss alone: the actor has an encoder of its own.

    Args:
        codec: Observations.
        action_dim: D of the action given as input; 0 when the outputs are the actions.
        outputs: Values per critic: 1, or the number of discrete actions.
        encoder: "auto", "mlp" or "cnn".
        hidden: Widths of the hidden layers.
        activation: Name of the activation.
        generator: Source of the initial weights.
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
        """What the critics see of packed observations x (N, P): (N, F)."""
        return self.codec.vector(x) if self.encoder is None else self.encoder.features(x)

    def forward(self, x: Tensor, action: Tensor | None = None) -> Tensor:
        """Values of packed observations x (N, P) and actions (N, D): (2, N); without actions (2, N, A)."""
        return self.evaluate(self.encode(x), action)

    def evaluate(self, features: Tensor, action: Tensor | None = None) -> Tensor:
        """Like `forward`, from what `encode` gave."""
        return self.net(features if action is None else torch.cat([features, action], dim=-1))
