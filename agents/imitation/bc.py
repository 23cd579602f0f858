"""Behavioural cloning (Pomerleau, 1988), optionally on the best trajectories only (%BC of Chen et al., 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.agent import PredictArguments
from envzoo.agents.loops.episode_streams import EpisodeStreams
from envzoo.agents.loops.offline import OfflineAgent
from envzoo.agents.loops.policy_with_wrappers import predict_with_policy
from envzoo.agents.loops.remembering import RememberingPolicy
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses import distributions as dist
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.basic_encoders import Encoder
from envzoo.agents.networks.encoders import EncodedLinear
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.policy import Acting, Policy
from envzoo.agents.networks.rescaled_actions import UnitActionCodec
from envzoo.agents.optim import make_optimizer
from envzoo.agents.spec import Holds, require
from envzoo.datasets.table import TransitionTable
from envzoo.errors import UnsupportedSpaceError


@dataclass(frozen=True)
class BCConfig:
    """Hyperparameters of behavioural cloning."""

    loss: Literal["auto", "mse", "log_prob"] = "auto"
    """log_prob: negative log-likelihood of the actions; mse: squared error of a deterministic policy on actions scaled
    to [-1, 1], Box actions only; auto: log_prob for Discrete actions and mse for Box actions."""
    top_fraction: float = 1.0
    """Fraction of the trajectories to imitate, those with the largest discounted return (at least one); 0.1 is
    10%BC."""
    gamma: float = 0.99
    """Discount factor of the return by which trajectories are selected."""
    batch_size: int = 256
    """Transitions per gradient step."""
    steps_per_iteration: int = 500
    """Gradient steps per iteration (one row of metrics)."""
    learning_rate: float = 3e-4
    """Adam's learning rate."""
    normalize_observations: bool = True
    """Normalise each column of Box observations to mean 0 and standard deviation 1 over the dataset."""
    encoder: Annotated[str, Holds("encoder")] = "auto"
    """Encoder of the observation: auto, mlp, cnn or efficient_vmamba; with memory gru, lstm, lru, s4d, mamba,
    transformer or hopfield; or a class or function of your own (see `envzoo.agents.networks.encoders.make_encoder`)."""
    sequence_length: int = 32
    """With an encoder that has a memory: steps through which its gradient reaches back; a gradient step takes
    batch_size / sequence_length sequences."""
    hidden: tuple[int, ...] = (256, 256)
    """Hidden layer sizes; with a memory, the last is its width."""
    activation: str = "relu"
    """Activation function of the hidden layers: tanh, relu, gelu or silu."""
    optimizer: str = "adam"
    """Optimizer: adam, adamw, sgd; with 8-bit statistics adam8bit, adamw8bit, momentum8bit or lion8bit."""

    def __post_init__(self):
        for name in ("batch_size", "steps_per_iteration", "sequence_length"):
            require(getattr(self, name) >= 1, f"{name} of BC is at least 1, got {getattr(self, name)}")
        require(0 < self.top_fraction <= 1, f"top_fraction of BC lies in (0, 1], got {self.top_fraction}")
        require(0 <= self.gamma <= 1, f"gamma of BC lies in [0, 1], got {self.gamma}")
        require(self.learning_rate > 0, f"learning_rate of BC is positive, got {self.learning_rate}")


class DeterministicPolicy(EncodedLinear):
    """Deterministic policy: packed observations (..., P) -> actions (..., D), in [-1, 1] when squashed by tanh."""

    def __init__(self, codec: ObservationCodec, actions: ActionCodec, *, squash: bool, **network: Any):
        super().__init__(codec, actions.dim, gain=0.01, **network)
        self.squash, self.recurrent = squash, self.encoder.recurrent

    def forward(self, x: Tensor) -> Tensor:
        """Compute the actions."""
        return self.actions(self.encoder.features(x))

    def actions(self, features: Tensor) -> Tensor:
        """Compute the actions from the features that the encoder returned."""
        output = self.head(features)
        return torch.tanh(output) if self.squash else output


class _Normalised:
    """A policy with a memory that is given observations which are not normalised yet."""

    recurrent = True

    def __init__(self, policy: Policy | RememberingPolicy, normalizer: Callable[[Tensor], Tensor]):
        self.policy, self.normalizer, self.initial_state = policy, normalizer, policy.initial_state

    def act(self, x: Tensor, *arguments: Any) -> Acting:
        return self.policy.act(self.normalizer(x), *arguments)


class BC(OfflineAgent):
    """Behavioural cloning: supervised learning of the actions of a dataset D.

    Minimises

        L = -E_{(s, a) ~ D}[log pi(a|s)]            (loss "log_prob")
        L = E_{(s, a) ~ D}[|pi(s) - a|^2 / D_a]     (loss "mse", D_a action dimensions, actions scaled to [-1, 1])

    Actions that the action masks of the dataset exclude, in its observations or in its infos, have pi(a|s) = 0. With
    `top_fraction` below 1 the dataset is restricted to the trajectories of largest return. An encoder with a memory is
    trained on whole episodes, `sequence_length` steps at a time: pi(a|s) is then pi(a|s_0, ..., s_t), and each gradient
    step continues the episodes of the last one from the memory that it left. Sources: Pomerleau (1988); %BC: Chen et
    al. (2021, arXiv 2106.01345).

    Metrics:
        loss/policy: L on the minibatch.
        policy/entropy: mean entropy of the policy in nats (loss "log_prob" only).
    """

    Config = BCConfig
    config: BCConfig
    seed_batch = True

    def build_actions(self) -> ActionCodec:
        """Create the action codec; actions are scaled to [-1, 1] for a squashed deterministic policy."""
        actions = super().build_actions()
        loss = self.config.loss
        if loss == "mse" and actions.discrete:
            raise UnsupportedSpaceError(
                f"BC with loss='mse' takes Box actions, but the action space is {actions.space}; use loss='log_prob'"
            )
        self.deterministic = loss == "mse" or (loss == "auto" and not actions.discrete)
        if self.deterministic and actions.bounded:
            return UnitActionCodec(self.source.action_space, self.spec.name)
        return actions

    def prepare(self, table: TransitionTable) -> TransitionTable:
        """Keep the best trajectories."""
        table = table if self.config.top_fraction == 1 else table.top_episodes(self.config.top_fraction)
        self.first_rows = np.flatnonzero(np.diff(table.episode_id, prepend=-1))
        return table

    def build(self) -> None:
        """Create the policy and the optimizer."""
        c = self.config
        settings = {
            "encoder": c.encoder,
            "hidden": c.hidden,
            "activation": c.activation,
            "generator": self.streams.torch("weights", "cpu"),
        }
        policy: nn.Module
        if self.deterministic:
            policy = DeterministicPolicy(self.codec, self.actions, squash=self.actions.bounded, **settings)
        else:
            policy = Policy(self.codec, self.actions, critic=False, **settings)
        self.policy = self.register("policy", policy.to(self.device))
        self.optimizer = self.register("optimizer", make_optimizer(self.policy, c.optimizer, lr=c.learning_rate))
        self.episodes: EpisodeStreams | None = None
        if policy.recurrent:
            state = self._encoder().initial_state(max(1, c.batch_size // c.sequence_length))
            self.episodes = self.register("episodes", EpisodeStreams(self.first_rows, len(self.data.reward), state))

    def _encoder(self) -> Encoder:
        return self.policy.encoder if self.deterministic else self.policy.actor_encoder

    def sample(self, generator: torch.Generator) -> Batch:
        """Sample transitions with normalised observations; (T, B, ...) steps of episodes with a memory."""
        if self.episodes is None:
            return super().sample(generator)
        index, self.starts = self.episodes.draw(self.config.sequence_length, generator)
        batch = Batch(*(column[index] for column in self.data))
        return batch._replace(observation=self.normalizer(batch.observation))

    def _loss_of_sequences(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        policy, x, action = self.policy, batch.observation, batch.action
        features, state = self._encoder()(x, self.episodes.state, self.starts)
        self.episodes.state = state.detach()
        if self.deterministic:
            return (policy.actions(features) - action).square().mean(), {}
        parameters = policy.actor_head(features)
        if policy.discrete:
            logits = policy.masks.restrict(parameters, x)
            log_prob, entropy = dist.categorical_log_prob(logits, action), dist.categorical_entropy(logits)
        else:
            log_prob = dist.gaussian_log_prob(parameters, policy.log_std, action)
            entropy = dist.gaussian_entropy(policy.log_std)
        return -log_prob.mean(), {"policy/entropy": entropy.mean().detach()}

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the mean loss of a batch, and metrics."""
        if self.episodes is not None:
            return self._loss_of_sequences(batch)
        if self.deterministic:
            return (self.policy(batch.observation) - batch.action).square().mean(), {}
        log_prob, entropy, _ = self.policy.evaluate(batch.observation, batch.action)
        return -log_prob.mean(), {"policy/entropy": entropy.mean().detach()}

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Take one Adam step on the loss."""
        loss, metrics = self.loss(batch)
        self.optimizer.step(loss)
        return {"loss/policy": loss.detach()} | metrics

    def act(self, x: Tensor, generator: torch.Generator, deterministic: bool) -> Tensor:
        """Select actions: the mode of the policy, or samples."""
        if self.deterministic:
            return self.policy(x)
        return self.policy.act(x, self.policy.initial_state(len(x)), None, generator, deterministic).action

    def _predict(self, observation: Any, asked: PredictArguments) -> tuple[Any, Any]:
        if self.episodes is None:
            return super()._predict(observation, asked)
        policy: Any = self.policy
        if self.deterministic:
            actions = policy.actions
            policy = RememberingPolicy(policy.encoder, lambda x, generator, deterministic: actions(x.known))
        return predict_with_policy(self, _Normalised(policy, self.normalizer), observation, asked)
