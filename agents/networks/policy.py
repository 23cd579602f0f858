"""Stochastic policies with an optional critic, for on-policy and imitation learning; all share one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from envzoo.agents.losses import distributions as dist
from envzoo.agents.networks.action import ActionCodec, MaskReader
from envzoo.agents.networks.encoders import make_encoder
from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.errors import UnsupportedSpaceError


class Acting(NamedTuple):
    """Output of a policy while acting: action (B,) or (B, D), log_prob (B,), value (B,) or None, next memory."""

    action: Tensor
    log_prob: Tensor
    value: Tensor | None
    state: Tensor


class Evaluation(NamedTuple):
    """Output of a policy while training, with the leading dimensions of the input: (...)."""

    log_prob: Tensor
    entropy: Tensor
    value: Tensor | None


class Policy(nn.Module):
    """Encoders for actor and critic, and their heads: a categorical, or normals with a state-independent log-std.

    Args:
        codec: Observations.
        actions: Actions.
        encoder: Name of the encoder ("auto", "mlp", "cnn", "gru", "symbols").
        hidden: Widths of the hidden layers.
        activation: Name of the activation.
        generator: Source of the initial weights.
        critic: Whether to estimate values.
        shared: Whether actor and critic share one encoder.
        initial_log_std: First log standard deviation of continuous actions.
    """

    def __init__(
        self,
        codec: ObservationCodec,
        actions: ActionCodec,
        *,
        encoder: str,
        hidden: Sequence[int],
        activation: str,
        generator: Generator,
        critic: bool = True,
        shared: bool = False,
        initial_log_std: float = 0.0,
    ):
        super().__init__()
        self.discrete = actions.discrete
        self.masks = MaskReader(codec, actions.n if actions.discrete else 0)
        self.actor_encoder = make_encoder(encoder, codec, hidden, activation, generator)
        self.has_critic, self.shared = critic, shared
        if critic:
            separate = None if shared else make_encoder(encoder, codec, hidden, activation, generator)
            self.critic_encoder = self.actor_encoder if shared else separate
            self.critic_head = linear(self.critic_encoder.out_dim, 1, generator, gain=1.0)
        outputs = actions.n if actions.discrete else actions.dim
        # A small last layer starts the policy near uniform (or near mean 0), whatever the observation.
        self.actor_head = linear(self.actor_encoder.out_dim, outputs, generator, gain=0.01)
        if not actions.discrete:
            self.log_std = nn.Parameter(torch.full((actions.dim,), float(initial_log_std)))
        self.recurrent = self.actor_encoder.recurrent
        self.actor_state_dim = self.actor_encoder.state_dim
        self.state_dim = self.actor_state_dim * (2 if critic and not shared else 1)

    def initial_state(self, num_envs: int) -> Tensor:
        """Return the memory of fresh episodes, (num_envs, state_dim)."""
        if not self.recurrent:
            return torch.zeros(num_envs, self.state_dim, device=self.actor_head.weight.device)
        encoders = (
            [self.actor_encoder, self.critic_encoder] if self.has_critic and not self.shared else [self.actor_encoder]
        )
        return torch.cat([encoder.initial_state(num_envs) for encoder in encoders], dim=1)

    def _split(self, state: Tensor) -> tuple[Tensor, Tensor]:
        return state[:, : self.actor_state_dim], state[:, self.actor_state_dim :]

    def _encode_step(self, x: Tensor, state: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
        if not self.recurrent:
            actor = self.actor_encoder.features(x)
            return actor, self._critic_features(x, actor), state
        actor_state, critic_state = self._split(state)
        actor, actor_state = self.actor_encoder.step(x, actor_state, start)
        if not self.has_critic or self.shared:
            return actor, actor if self.has_critic else None, actor_state
        critic, critic_state = self.critic_encoder.step(x, critic_state, start)
        return actor, critic, torch.cat([actor_state, critic_state], dim=1)

    def _critic_features(self, x: Tensor, actor: Tensor) -> Tensor | None:
        if not self.has_critic:
            return None
        return actor if self.shared else self.critic_encoder.features(x)

    def act(
        self, x: Tensor, state: Tensor, start: Tensor | None, generator: Generator | None, deterministic: bool = False
    ) -> Acting:
        """Choose actions for packed observations x (B, P)."""
        features, critic_features, state = self._encode_step(x, state, start)
        parameters = self._restricted(self.actor_head(features), x)
        value = self.critic_head(critic_features).squeeze(-1) if critic_features is not None else None
        action = self._choose(parameters, generator, deterministic)
        if self.discrete:
            return Acting(action, dist.categorical_log_prob(parameters, action), value, state)
        return Acting(action, dist.gaussian_log_prob(parameters, self.log_std, action), value, state)

    def choose(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Sample only the actions of `act`, for a memoryless policy."""
        return self._choose(self._restricted(self.actor_head(self.actor_encoder.features(x)), x), generator, False)

    def _restricted(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Set the probability of actions that are not allowed at x to 0."""
        return self.masks.restrict(parameters, x) if self.discrete else parameters

    def _choose(self, parameters: Tensor, generator: Generator | None, deterministic: bool) -> Tensor:
        if self.discrete:
            return parameters.argmax(-1) if deterministic else dist.sample_categorical(parameters, generator)
        if deterministic:
            return parameters
        return parameters + self.log_std.exp() * torch.empty_like(parameters).normal_(generator=generator)

    def value(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> Tensor:
        """Estimate the values (B,) of packed observations x (B, P); memoryless policies take any leading dimensions."""
        if not self.recurrent:
            features = (self.actor_encoder if self.shared else self.critic_encoder).features(x)
        else:
            features = self._encode_step(x, state, start)[1]
        return self.critic_head(features).squeeze(-1)

    def evaluate(
        self, x: Tensor, action: Tensor, state: Tensor | None = None, start: Tensor | None = None
    ) -> Evaluation:
        """Compute log-probabilities, entropies and values of a batch.

        Args:
            x: Packed observations, (..., P) for a memoryless policy, (T, B, P) for a recurrent one.
            action: (...) int64 or (..., D).
            state: Memory before the chunk, (B, state_dim), recurrent only.
            start: (T, B) bool, recurrent only.
        """
        if self.recurrent:
            actor_state, critic_state = self._split(state)
            features, _ = self.actor_encoder(x, actor_state.contiguous(), start)
            critic_features = features if self.has_critic else None
            if self.has_critic and not self.shared:
                critic_features, _ = self.critic_encoder(x, critic_state.contiguous(), start)
        else:
            features = self.actor_encoder.features(x)
            critic_features = self._critic_features(x, features)
        value = self.critic_head(critic_features).squeeze(-1) if critic_features is not None else None
        parameters = self._restricted(self.actor_head(features), x)
        if self.discrete:
            log_probs = parameters.log_softmax(dim=-1)
            log_prob = log_probs.gather(-1, action[..., None]).squeeze(-1)
            if self.masks(x) is not None:
                log_probs = dist.finite(log_probs)
            return Evaluation(log_prob, -(log_probs.exp() * log_probs).sum(dim=-1), value)
        log_prob = dist.gaussian_log_prob(parameters, self.log_std, action)
        return Evaluation(log_prob, dist.gaussian_entropy(self.log_std).expand_as(log_prob), value)


class TabularPolicy(nn.Module):
    """One row of logits (and one value) per observation of a finite space: theta[s, a], all zero at first.

    Args:
        codec: Observations, all parts discrete.
        actions: Discrete actions.
        critic: Whether to keep a table of values.

    Raises:
        UnsupportedSpaceError: The observation space is not finite and discrete, or has over 10 million observations.
    """

    recurrent = False
    state_dim = 0
    MAX_STATES = 10_000_000

    def __init__(self, codec: ObservationCodec, actions: ActionCodec, critic: bool = False):
        super().__init__()
        if codec.num_states is None:
            raise UnsupportedSpaceError(
                f"a tabular policy needs Discrete or MultiDiscrete observations, got {codec.space}; use policy='mlp'"
            )
        if codec.num_states > self.MAX_STATES:
            raise UnsupportedSpaceError(
                f"a tabular policy for {codec.num_states} observations would not fit (the limit is {self.MAX_STATES}); "
                "use policy='mlp'"
            )
        if not actions.discrete:
            raise UnsupportedSpaceError(f"a tabular policy needs Discrete actions, got {actions.space}")
        self.codec, self.has_critic = codec, critic
        self.masks = MaskReader(codec, actions.n)
        self.logits = nn.Parameter(torch.zeros(codec.num_states, actions.n))
        if critic:
            self.values = nn.Parameter(torch.zeros(codec.num_states))

    def initial_state(self, num_envs: int) -> Tensor:
        """Return no memory: (num_envs, 0)."""
        return torch.zeros(num_envs, 0, device=self.logits.device)

    def act(
        self, x: Tensor, state: Tensor, start: Tensor | None, generator: Generator | None, deterministic: bool = False
    ) -> Acting:
        """Choose actions for packed observations x (B, P)."""
        index = self.codec.index(x)
        logits = self.masks.restrict(self.logits[index], x)
        action = logits.argmax(-1) if deterministic else dist.sample_categorical(logits, generator)
        value = self.values[index] if self.has_critic else None
        return Acting(action, dist.categorical_log_prob(logits, action), value, state)

    def choose(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Sample only the actions of `act`."""
        return dist.sample_categorical(self.masks.restrict(self.logits[self.codec.index(x)], x), generator)

    def value(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> Tensor:
        """Return values of packed observations x (B, P), (B,)."""
        return self.values[self.codec.index(x)]

    def evaluate(
        self, x: Tensor, action: Tensor, state: Tensor | None = None, start: Tensor | None = None
    ) -> Evaluation:
        """Compute log-probabilities, entropies and values; leading dimensions are free."""
        index = self.codec.index(x)
        logits = self.masks.restrict(torch.nn.functional.embedding(index, self.logits), x)
        value = self.values[index] if self.has_critic else None
        return Evaluation(dist.categorical_log_prob(logits, action), dist.categorical_entropy(logits), value)
