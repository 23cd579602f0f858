"""Soft Actor-Critic for discrete actions (Christodoulou, 2019, arXiv 1910.07207)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.loops.off_policy import OffPolicyAgent, OffPolicyConfig
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses import soft
from envzoo.agents.networks.dual import DualVariable, PolyakTarget
from envzoo.agents.optim import make_optimizer
from envzoo.agents.soft.networks import CategoricalActor, TwinQ
from envzoo.agents.spec import require
from envzoo.errors import UnsupportedSpaceError


@dataclass(frozen=True)
class SACDiscreteConfig(OffPolicyConfig):
    """Hyperparameters of SACDiscrete."""

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
    target_entropy_ratio: float = 0.5
    """The entropy that a learned temperature keeps the policy at, as a share f of the largest, ln A: as if it chose
    evenly among A^f actions. The paper's 0.98 leaves a policy little better than random, and makes the temperature
    grow without bound where good actions matter; a half means 1.4 of 2, 2 of 4 and 4.2 of 18 actions, so one value
    serves every A."""
    max_temperature: float = 10.0
    """Largest value of a learned temperature."""
    reward_scale: float = 1.0
    """Rewards are multiplied by this before learning."""
    actor_q: Literal["min", "mean"] = "min"
    """Value the actor climbs: the smaller of the two critics (the paper) or their mean."""
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
            require(value is None or value > 0, f"{name} of SACDiscrete is positive, got {value}")
        require(
            0 < self.target_entropy_ratio < 1,
            f"target_entropy_ratio of SACDiscrete lies between 0 and 1, got {self.target_entropy_ratio}",
        )
        require(
            0 < self.initial_temperature <= self.max_temperature,
            f"initial_temperature of SACDiscrete is positive and at most max_temperature {self.max_temperature}, "
            f"got {self.initial_temperature}",
        )
        require(self.reward_scale > 0, f"reward_scale of SACDiscrete is positive, got {self.reward_scale}")
        require(0 <= self.gamma <= 1, f"gamma of SACDiscrete lies in [0, 1], got {self.gamma}")
        require(0 < self.tau <= 1, f"tau of SACDiscrete lies in (0, 1], got {self.tau}")


class SACDiscrete(OffPolicyAgent):
    """Soft actor-critic whose critics give Q of every action, so that expectations over actions are exact sums."""

    Config = SACDiscreteConfig
    config: SACDiscreteConfig

    def build(self) -> None:
        """Actor, twin critics with slowly following targets, temperature, and an optimizer for each."""
        c, n = self.config, self.actions.n
        if n < 2:
            raise UnsupportedSpaceError(
                f"{self.spec.name} needs at least 2 actions, but the action space is {self.actions.space}"
            )
        shape = {
            "encoder": c.encoder,
            "hidden": c.hidden,
            "activation": c.activation,
            "generator": self.streams.torch("weights", "cpu"),
        }
        self.actor = self.register("actor", CategoricalActor(self.codec, n, **shape).to(self.device))
        self.critics = self.register("critics", TwinQ(self.codec, 0, n, **shape).to(self.device))
        self.actor_optimizer = self.register("actor_optimizer", make_optimizer(self.actor, lr=c.learning_rate))
        self.critic_optimizer = self.register(
            "critic_optimizer", make_optimizer(self.critics, lr=c.critic_learning_rate or c.learning_rate)
        )
        self.target = self.register("target", PolyakTarget(self.critics, self.critic_optimizer.flat, c.tau))
        self.temperature = self.register(
            "temperature",
            DualVariable(
                c.temperature or c.initial_temperature,
                target=c.target_entropy_ratio * math.log(n),
                lr=None if c.temperature else c.temperature_learning_rate or c.learning_rate,
                high=math.inf if c.temperature else c.max_temperature,
                device=self.device,
            ),
        )

    def act(self, x: Tensor, generator: torch.Generator, deterministic: bool = False) -> Tensor:
        """Actions (B,): the most probable, or samples."""
        return self.actor.act(x, generator, deterministic)

    def random_action(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Uniform actions (count,)."""
        return generator.integers(0, self.actions.n, count)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the critics, the actor, the temperature and the target networks (algorithm 1)."""
        c = self.config
        alpha = self.temperature.value
        reward = batch.reward if c.reward_scale == 1 else batch.reward * c.reward_scale

        with torch.no_grad():  # y = r + gamma V'(s'), V' exact (equation 10)
            next_log_probs = self.actor(batch.next_observation)
            next_value = soft.discrete_soft_value(self.target(batch.next_observation), next_log_probs, alpha)
            y = soft.td_target(reward, batch.terminated, next_value, c.gamma)
        q = self.critics(batch.observation)
        chosen = batch.action.expand(q.shape[0], -1)[..., None]
        critic_loss = soft.critic_loss(q.gather(-1, chosen).squeeze(-1), y)
        self.critic_optimizer.step(critic_loss)

        log_probs = self.actor(batch.observation)
        with torch.no_grad():
            q = self.critics(batch.observation)
        actor_loss = soft.discrete_actor_loss(q, log_probs, alpha, c.actor_q)  # equation 12
        self.actor_optimizer.step(actor_loss)

        log_probs = log_probs.detach()
        entropy = -(log_probs.exp() * log_probs).sum(dim=-1).mean()
        temperature_loss = self.temperature.update(entropy)  # equation 11
        self.target.update()
        return {
            "loss/critic": critic_loss.detach(),
            "loss/actor": actor_loss.detach(),
            "loss/temperature": temperature_loss,
            "value/q": q.mean(),
            "policy/entropy": entropy,
            "policy/temperature": alpha,
        }
