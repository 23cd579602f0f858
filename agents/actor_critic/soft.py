"""Base class and hyperparameters of the maximum-entropy actor-critic agents."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from envzoo.agents.actor_critic.closed_form import ClosedFormSoft
from envzoo.agents.actor_critic.soft_networks import Observed, TwinQ
from envzoo.agents.loops.off_policy import OffPolicyAgent, OffPolicyConfig
from envzoo.agents.networks.basic_encoders import Encoder
from envzoo.agents.networks.lagrange import DualVariable
from envzoo.agents.networks.target_network import PolyakTarget
from envzoo.agents.optim import make_optimizer
from envzoo.agents.schedules import check_rate, first_rate, is_scheduled, rate_at
from envzoo.agents.spec import Holds, require


@dataclass(frozen=True)
class SoftConfig(OffPolicyConfig):
    """Hyperparameters of the maximum-entropy agents; defaults are those of the paper where it states them."""

    learning_rate: Annotated[float | str, Holds("schedule")] = 3e-4
    """Adam's learning rate of the actor, and the default of the critics and the temperature: a number, a schedule by
    name ("cosine:3e-4"), or a function of the share of the budget that has been used (see
    `envzoo.agents.schedules`)."""
    critic_learning_rate: float | None = None
    """Adam's learning rate of the critics; None for `learning_rate`."""
    temperature_learning_rate: float | None = None
    """Adam's learning rate of log alpha; None for `learning_rate`."""
    gamma: float = 0.99
    """Discount factor."""
    tau: float = 0.005
    """Polyak coefficient of the target critics."""
    temperature: float | None = None
    """Fixed temperature alpha; None to learn it."""
    initial_temperature: float = 1.0
    """Initial value of a learned temperature."""
    reward_scale: float = 1.0
    """Factor by which rewards are multiplied before learning."""
    actor_q: Literal["min", "mean"] = "min"
    """Critic value in the actor's loss: the minimum of the two critics (the paper) or their mean (SAC's published
    code)."""
    encoder: Annotated[str, Holds("encoder")] = "auto"
    """Encoder of the observation: auto, mlp, cnn or efficient_vmamba; with memory gru, lstm, lru, s4d, mamba,
    transformer or hopfield; or a class or function of your own (see `envzoo.agents.networks.encoders.make_encoder`).
    auto selects cnn for images and mlp otherwise. Actor and critics have separate encoders."""
    hidden: tuple[int, ...] = (256, 256)
    """Hidden layer sizes of actor and critics; with a memory, the last is its width."""
    activation: str = "relu"
    """Activation function of the hidden layers: tanh, relu, gelu or silu."""
    optimizer: str = "adam"
    """Optimizer of actor and critics: adam, adamw, sgd; with 8-bit statistics adam8bit, adamw8bit, momentum8bit or
    lion8bit. The temperature, a single number, is learned with Adam."""

    def __post_init__(self):
        super().__post_init__()
        agent = type(self).__name__.removesuffix("Config")
        check_rate("learning_rate", agent, self.learning_rate)
        for name in ("critic_learning_rate", "temperature_learning_rate", "temperature"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name} of {agent} is positive, got {value}")
        for name in ("initial_temperature", "reward_scale"):
            require(getattr(self, name) > 0, f"{name} of {agent} is positive, got {getattr(self, name)}")
        require(0 <= self.gamma <= 1, f"gamma of {agent} lies in [0, 1], got {self.gamma}")
        require(0 < self.tau <= 1, f"tau of {agent} lies in (0, 1], got {self.tau}")


class SoftActorCritic(OffPolicyAgent):
    """Base class of the maximum-entropy agents: actor, twin critics with target networks, and temperature."""

    Config = SoftConfig
    config: SoftConfig

    @abstractmethod
    def build_networks(self, **shape: Any) -> tuple[nn.Module, TwinQ]:
        """Create the actor and the critics; `shape` holds encoder, hidden, activation and generator."""

    @abstractmethod
    def entropy_target(self) -> float:
        """Return the target entropy in nats of a learned temperature."""

    def largest_temperature(self) -> float:
        """Return the upper bound of a learned temperature."""
        return math.inf

    def build(self) -> None:
        """Create the networks, the target networks, the temperature, and the optimizers."""
        c = self.config
        actor, critics = self.build_networks(
            encoder=c.encoder,
            hidden=c.hidden,
            activation=c.activation,
            generator=self.streams.torch("weights", "cpu"),
        )
        if actor.encoder.recurrent:  # the memories of actor and critics stand side by side
            first = actor.encoder.state_dim
            critics.columns = slice(first, first + critics.encoder.state_dim)
        self.actor = self.register("actor", actor.to(self.device))
        self.critics = self.register("critics", critics.to(self.device))
        rate = first_rate(c.learning_rate)
        critic_rate = c.critic_learning_rate or rate
        self.actor_optimizer = self.register("actor_optimizer", make_optimizer(self.actor, c.optimizer, lr=rate))
        self.critic_optimizer = self.register(
            "critic_optimizer", make_optimizer(self.critics, c.optimizer, lr=critic_rate)
        )
        self.target = self.register("target", PolyakTarget(self.critics, self.critic_optimizer.flat, c.tau))
        self.closed_form = ClosedFormSoft.make(self.actor, self.critics, self.target.network)
        self.temperature = self.register(
            "temperature",
            DualVariable(
                c.temperature or c.initial_temperature,
                target=self.entropy_target(),
                lr=None if c.temperature else c.temperature_learning_rate or rate,
                high=math.inf if c.temperature else self.largest_temperature(),
                device=self.device,
            ),
        )

    def follow_schedule(self) -> None:
        """Set the learning rates that follow a schedule to their present values."""
        c = self.config
        if not is_scheduled(c.learning_rate):
            return
        rate = rate_at(c.learning_rate, self.progress())
        self.actor_optimizer.lr = rate
        if c.critic_learning_rate is None:
            self.critic_optimizer.lr = rate
        if c.temperature is None and c.temperature_learning_rate is None:
            self.temperature.optimizer.lr = rate

    def encoders(self) -> list[Encoder]:
        """Return the encoders of actor and critics, if they have a memory."""
        return [self.actor.encoder, self.critics.encoder] if self.actor.encoder.recurrent else []

    def act(self, x: Observed, generator: Any, deterministic: bool = False) -> Tensor:
        """Select actions in the agent's representation: the mode of the policy, or samples."""
        return self.actor.act(x, generator, deterministic)

    def scaled(self, reward: Tensor) -> Tensor:
        """Scale rewards by `reward_scale`."""
        scale = self.config.reward_scale
        return reward if scale == 1 else reward * scale
