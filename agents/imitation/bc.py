"""Behavioural cloning (Pomerleau, 1988), optionally on the best trajectories only (%BC of Chen et al., 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from envzoo.agents.loops.offline import OfflineAgent
from envzoo.agents.loops.replay import Batch
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.encoders import EncodedLinear, is_recurrent
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.policy import Policy
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
    """Encoder of the observation: auto, mlp, cnn or efficient_vmamba; or a class or function of your own, without a
    memory (see `envzoo.agents.networks.encoders.make_encoder`)."""
    hidden: tuple[int, ...] = (256, 256)
    """Hidden layer sizes."""
    activation: str = "relu"
    """Activation function of the hidden layers: tanh, relu, gelu or silu."""
    optimizer: str = "adam"
    """Optimizer: adam, adamw, sgd; with 8-bit statistics adam8bit, adamw8bit, momentum8bit or lion8bit."""

    def __post_init__(self):
        for name in ("batch_size", "steps_per_iteration"):
            require(getattr(self, name) >= 1, f"{name} of BC is at least 1, got {getattr(self, name)}")
        require(0 < self.top_fraction <= 1, f"top_fraction of BC lies in (0, 1], got {self.top_fraction}")
        require(0 <= self.gamma <= 1, f"gamma of BC lies in [0, 1], got {self.gamma}")
        require(self.learning_rate > 0, f"learning_rate of BC is positive, got {self.learning_rate}")
        require(
            not is_recurrent(self.encoder),
            f"BC is trained on single transitions: its encoder must be memoryless, got {self.encoder!r}",
        )


class DeterministicPolicy(EncodedLinear):
    """Deterministic policy: packed observations (..., P) -> actions (..., D), in [-1, 1] when squashed by tanh."""

    def __init__(self, codec: ObservationCodec, actions: ActionCodec, *, squash: bool, **network: Any):
        super().__init__(codec, actions.dim, gain=0.01, **network)
        self.squash = squash

    def forward(self, x: Tensor) -> Tensor:
        """Compute the actions."""
        output = self.head(self.encoder.features(x))
        return torch.tanh(output) if self.squash else output


class BC(OfflineAgent):
    """Behavioural cloning: supervised learning of the actions of a dataset D.

    Minimises

        L = -E_{(s, a) ~ D}[log pi(a|s)]            (loss "log_prob")
        L = E_{(s, a) ~ D}[|pi(s) - a|^2 / D_a]     (loss "mse", D_a action dimensions, actions scaled to [-1, 1])

    Actions that the action masks of the dataset exclude, in its observations or in its infos, have pi(a|s) = 0. With
    `top_fraction` below 1 the dataset is restricted to the trajectories of largest return. Sources: Pomerleau (1988);
    %BC: Chen et al. (2021, arXiv 2106.01345).

    Metrics:
        loss/policy: L on the minibatch.
        policy/entropy: mean entropy of the policy in nats (loss "log_prob" only).
    """

    Config = BCConfig
    config: BCConfig

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
        return table if self.config.top_fraction == 1 else table.top_episodes(self.config.top_fraction)

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

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the mean loss of a batch, and metrics."""
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
