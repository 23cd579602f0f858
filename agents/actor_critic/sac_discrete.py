"""Soft Actor-Critic for discrete actions (Christodoulou, 2019, arXiv 1910.07207)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.actor_critic.soft import SoftActorCritic, SoftConfig
from envzoo.agents.actor_critic.soft_networks import CategoricalActor, Observed, TwinQ
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses import soft
from envzoo.agents.losses.distributions import finite
from envzoo.agents.networks.seen import packed_of
from envzoo.agents.spec import require
from envzoo.errors import UnsupportedSpaceError


@dataclass(frozen=True)
class SACDiscreteConfig(SoftConfig):
    """Hyperparameters of SACDiscrete."""

    target_entropy_ratio: float = 0.5
    """Target entropy of a learned temperature as a fraction f of the maximum, ln A; f ln A is the entropy of a uniform
    choice among A^f actions. The paper's 0.98 keeps the policy nearly uniform, and lets the temperature grow without
    bound where action values differ; 0.5 means 1.4 of 2, 2 of 4 and 4.2 of 18 actions, so one value suits every A."""
    max_temperature: float = 10.0
    """Upper bound of a learned temperature."""

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
    """Soft Actor-Critic for discrete actions: the critics output Q(s, .), so expectations over actions are exact sums.

    With V'(s') = sum_a pi(a|s') (min_i Q'_i(s', a) - alpha log pi(a|s')) and y = r + gamma (1 - terminated) V'(s'),
    each update takes one gradient step on

        J_Q = sum_i E[1/2 (Q_i(s, a) - y)^2]                                          (V' is equation 10)
        J_pi = E[sum_a pi(a|s) (alpha log pi(a|s) - min_i Q_i(s, a))]                 (equation 12)
        J(alpha) = E[alpha (H(pi(.|s)) - f ln n(s))]                                  (equation 11)

    and then updates the target critics Q' <- (1 - tau) Q' + tau Q. The ratio f is `target_entropy_ratio`, and n(s) is
    the number of allowed actions. Source: Christodoulou (2019, arXiv 1910.07207, algorithm 1).

    Metrics:
        loss/critic: J_Q, summed over the two critics.
        loss/actor: J_pi.
        loss/temperature: J(alpha); a fixed temperature does not follow it.
        value/q: mean Q(s, a) over the batch, all actions and both critics.
        policy/entropy: mean entropy of the policy in nats.
        policy/temperature: alpha used in the update.
    """

    Config = SACDiscreteConfig
    config: SACDiscreteConfig

    def build_networks(self, **shape: Any) -> tuple[CategoricalActor, TwinQ]:
        """Create a categorical actor over A actions, and critics with one output per action."""
        n = self.actions.n
        if n < 2:
            raise UnsupportedSpaceError(
                f"{self.spec.name} needs at least 2 actions, but the action space is {self.actions.space}"
            )
        return CategoricalActor(self.codec, n, **shape), TwinQ(self.codec, 0, n, **shape)

    def entropy_target(self) -> float:
        """Return f ln A."""
        return self.config.target_entropy_ratio * math.log(self.actions.n)

    def largest_temperature(self) -> float:
        """Return the configured upper bound."""
        return self.config.max_temperature

    def random_action(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Sample uniform actions (count,)."""
        return generator.integers(0, self.actions.n, count)

    def _missing(self, x: Observed) -> Tensor | float:
        """Return the mean reduction of the target entropy due to action masks.

        With n of A actions allowed, the target entropy is f ln n instead of f ln A.
        """
        mask = self.actor.masks(packed_of(x))
        if mask is None:
            return 0.0
        return self.entropy_target() - self.config.target_entropy_ratio * mask.sum(dim=-1).log().mean()

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Update the critics, the actor, the temperature and the target networks once (algorithm 1)."""
        self.follow_schedule()
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
