"""Soft Actor-Critic for discrete actions (Christodoulou, 2019, arXiv 1910.07207)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.actor_critic.soft import SoftActorCritic, SoftConfig
from envzoo.agents.actor_critic.soft_networks import CategoricalActor, TwinQ
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses import soft
from envzoo.agents.losses.distributions import finite
from envzoo.agents.spec import require
from envzoo.errors import UnsupportedSpaceError


@dataclass(frozen=True)
class SACDiscreteConfig(SoftConfig):
    """Hyperparameters of SACDiscrete."""

    target_entropy_ratio: float = 0.5
    """The entropy that a learned temperature keeps the policy at, as a share f of the largest, ln A: as if it chose
    evenly among A^f actions. The paper's 0.98 leaves a policy little better than random, and makes the temperature
    grow without bound where good actions matter; a half means 1.4 of 2, 2 of 4 and 4.2 of 18 actions, so one value
    serves every A."""
    max_temperature: float = 10.0
    """Largest value of a learned temperature."""

    def __post_init__(self):
        super().__post_init__()
        require(
            0 < self.target_entropy_ratio < 1,
            f"target_entropy_ratio of SACDiscrete lies between 0 and 1, got {self.target_entropy_ratio}",
        )
        require(
            self.initial_temperature <= self.max_temperature,
            f"initial_temperature of SACDiscrete is positive and at most max_temperature {self.max_temperature}, "
            f"got {self.initial_temperature}",
        )


class SACDiscrete(SoftActorCritic):
    """Soft actor-critic whose critics give Q of every action, so that expectations over actions are exact sums."""

    Config = SACDiscreteConfig
    config: SACDiscreteConfig

    def build_networks(self, **shape: Any) -> tuple[CategoricalActor, TwinQ]:
        """A categorical over A actions, and critics with an output for each."""
        n = self.actions.n
        if n < 2:
            raise UnsupportedSpaceError(
                f"{self.spec.name} needs at least 2 actions, but the action space is {self.actions.space}"
            )
        return CategoricalActor(self.codec, n, **shape), TwinQ(self.codec, 0, n, **shape)

    def entropy_target(self) -> float:
        """f ln A."""
        return self.config.target_entropy_ratio * math.log(self.actions.n)

    def largest_temperature(self) -> float:
        """The configured cap."""
        return self.config.max_temperature

    def random_action(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Uniform actions (count,)."""
        return generator.integers(0, self.actions.n, count)

    def _missing(self, x: Tensor) -> Tensor | float:
        """Return by how much the entropy asked for falls, on average, because some actions are not allowed.

        Where n of A actions are allowed it is f ln n in place of f ln A.
        """
        mask = self.actor.masks(x)
        if mask is None:
            return 0.0
        return self.entropy_target() - self.config.target_entropy_ratio * mask.sum(dim=-1).log().mean()

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Do one step of the critics, the actor, the temperature and the target networks (algorithm 1)."""
        c = self.config
        alpha = self.temperature.value

        with torch.no_grad():  # y = r + gamma V'(s'), V' exact (equation 10)
            next_log_probs = self.actor(batch.next_observation)
            next_value = soft.discrete_soft_value(self.target(batch.next_observation), next_log_probs, alpha)
            y = soft.td_target(self.scaled(batch.reward), batch.terminated, next_value, c.gamma)
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
        entropy = -(log_probs.exp() * finite(log_probs)).sum(dim=-1).mean()
        temperature_loss = self.temperature.update(entropy + self._missing(batch.observation))  # equation 11
        self.target.update()
        return {
            "loss/critic": critic_loss.detach(),
            "loss/actor": actor_loss.detach(),
            "loss/temperature": temperature_loss,
            "value/q": q.mean(),
            "policy/entropy": entropy,
            "policy/temperature": alpha,
        }
