"""Soft Actor-Critic with a learned temperature (Haarnoja et al., 2018, arXiv 1812.05905)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.loops.off_policy import OffPolicyAgent, OffPolicyConfig
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses import soft
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.bounded import UnitActionCodec
from envzoo.agents.networks.dual import DualVariable, PolyakTarget
from envzoo.agents.optim import make_optimizer
from envzoo.agents.soft.networks import SquashedGaussianActor, TwinQ
from envzoo.agents.spec import require


@dataclass(frozen=True)
class SACConfig(OffPolicyConfig):
    """Hyperparameters of SAC; defaults are the paper's where it gives one."""

    learning_rate: float = 3e-4
    """Adam's learning rate of the actor, and of the others where they have none of their own."""
    critic_learning_rate: float | None = None
    """Adam's learning rate of the critics; None for `learning_rate`."""
    temperature_learning_rate: float | None = None
    """Adam's learning rate of log alpha; None for `learning_rate`."""
    gamma: float = 0.99
    """Discount factor."""
    tau: float = 0.005
    """Share of the critics that moves over into their targets after every update."""
    temperature: float | None = None
    """A fixed temperature alpha; None learns it."""
    initial_temperature: float = 1.0
    """First value of a learned temperature."""
    target_entropy: float | None = None
    """Entropy in nats that a learned temperature keeps the policy at, measured on actions scaled to [-1, 1]; None for
    minus the number of action dimensions."""
    reward_scale: float = 1.0
    """Rewards are multiplied by this before learning."""
    actor_q: Literal["min", "mean"] = "min"
    """Value the actor climbs: the smaller of the two critics (the paper) or their mean (its published code)."""
    encoder: Literal["auto", "mlp", "cnn"] = "auto"
    """Encoder of the observation; auto is cnn where there are images. Actor and critics never share one."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of actor and critics."""
    activation: str = "relu"
    """Activation of the hidden layers: tanh, relu, gelu or silu."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("learning_rate", "critic_learning_rate", "temperature_learning_rate", "temperature"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name} of SAC is positive, got {value}")
        require(self.initial_temperature > 0, f"initial_temperature of SAC is positive, got {self.initial_temperature}")
        require(self.reward_scale > 0, f"reward_scale of SAC is positive, got {self.reward_scale}")
        require(0 <= self.gamma <= 1, f"gamma of SAC lies in [0, 1], got {self.gamma}")
        require(0 < self.tau <= 1, f"tau of SAC lies in (0, 1], got {self.tau}")


class SAC(OffPolicyAgent):
    """Soft actor-critic: maximise return plus alpha times the policy's entropy, alpha chosen by a constraint on it."""

    Config = SACConfig
    config: SACConfig

    def build_actions(self) -> ActionCodec:
        """Actions scaled to [-1, 1]^D; the space must be bounded."""
        return UnitActionCodec(self.source.action_space, self.spec.name)

    def build(self) -> None:
        """Actor, twin critics with slowly following targets, temperature, and an optimizer for each."""
        c, dim = self.config, self.actions.dim
        shape = {
            "encoder": c.encoder,
            "hidden": c.hidden,
            "activation": c.activation,
            "generator": self.streams.torch("weights", "cpu"),
        }
        self.actor = self.register("actor", SquashedGaussianActor(self.codec, dim, **shape).to(self.device))
        self.critics = self.register("critics", TwinQ(self.codec, dim, 1, **shape).to(self.device))
        self.actor_optimizer = self.register("actor_optimizer", make_optimizer(self.actor, lr=c.learning_rate))
        self.critic_optimizer = self.register(
            "critic_optimizer", make_optimizer(self.critics, lr=c.critic_learning_rate or c.learning_rate)
        )
        self.target = self.register("target", PolyakTarget(self.critics, self.critic_optimizer.flat, c.tau))
        self.temperature = self.register(
            "temperature",
            DualVariable(
                c.temperature or c.initial_temperature,
                target=-float(dim) if c.target_entropy is None else c.target_entropy,
                lr=None if c.temperature else c.temperature_learning_rate or c.learning_rate,
                device=self.device,
            ),
        )

    def act(self, x: Tensor, generator: torch.Generator, deterministic: bool = False) -> Tensor:
        """Actions (B, D) in [-1, 1]: tanh of the mean, or samples."""
        return self.actor.act(x, generator, deterministic)

    def random_action(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Uniform actions (count, D) in [-1, 1]."""
        return generator.uniform(-1, 1, (count, self.actions.dim)).astype(np.float32)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Algorithm 1: one step of the critics, the actor, the temperature and the target networks."""
        c, noise = self.config, self.streams.torch("policy-noise")
        alpha = self.temperature.value
        reward = batch.reward if c.reward_scale == 1 else batch.reward * c.reward_scale

        with torch.no_grad():  # y = r + gamma (min_i Q'_i(s', a') - alpha log pi(a'|s')), a' ~ pi fresh
            next_action, next_log_prob = self.actor.sample(batch.next_observation, noise)
            next_q = self.target(batch.next_observation, next_action)
            next_value = soft.soft_value(next_q, next_log_prob, alpha)
            y = soft.td_target(reward, batch.terminated, next_value, c.gamma)
        q = self.critics(batch.observation, batch.action)
        critic_loss = soft.critic_loss(q, y)  # equation 5
        self.critic_optimizer.step(critic_loss)

        action, log_prob = self.actor.sample(batch.observation, noise)
        with torch.no_grad():  # the actor shapes no part of the critics, their encoder included
            features = self.critics.encode(batch.observation)
        q_of_actor = self.critics.evaluate(features, action)
        actor_loss = soft.actor_loss(q_of_actor, log_prob, alpha, c.actor_q)  # equation 9
        self.actor_optimizer.step(actor_loss)

        entropy = -log_prob.detach().mean()
        temperature_loss = self.temperature.update(entropy)  # equation 18
        self.target.update()
        return {
            "loss/critic": critic_loss.detach(),
            "loss/actor": actor_loss.detach(),
            "loss/temperature": temperature_loss,
            "value/q": q.detach().mean(),
            "policy/entropy": entropy,
            "policy/temperature": alpha,
        }
