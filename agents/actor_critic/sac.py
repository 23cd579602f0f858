"""Soft Actor-Critic with a learned temperature (Haarnoja et al., 2018, arXiv 1812.05905)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.actor_critic.soft import SoftActorCritic, SoftConfig
from envzoo.agents.actor_critic.soft_networks import SquashedGaussianActor, TwinQ
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses import soft
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.rescaled_actions import UnitActionCodec


@dataclass(frozen=True)
class SACConfig(SoftConfig):
    """Hyperparameters of SAC; defaults are those of the paper where it states them."""

    target_entropy: float | None = None
    """Target entropy in nats of a learned temperature, for actions scaled to [-1, 1]; None for minus the number of
    action dimensions."""


class SAC(SoftActorCritic):
    """Soft Actor-Critic for continuous actions.

    Maximises the maximum-entropy objective J(pi) = E[sum_t gamma^t (r_t + alpha H(pi(.|s_t)))]. With y = r + gamma (1 -
    terminated) (min_i Q'_i(s', a') - alpha log pi(a'|s')) and a' ~ pi(.|s'), each update takes one gradient step on

        J_Q = sum_i E[1/2 (Q_i(s, a) - y)^2]                       (equation 5)
        J_pi = E[alpha log pi(a|s) - min_i Q_i(s, a)], a ~ pi      (equation 9)
        J(alpha) = E[-alpha (log pi(a|s) + target_entropy)]        (equation 18)

    and then updates the target critics Q' <- (1 - tau) Q' + tau Q. Source: Haarnoja et al. (2018, arXiv 1812.05905,
    algorithm 1).

    Metrics:
        loss/critic: J_Q, summed over the two critics.
        loss/actor: J_pi.
        loss/temperature: J(alpha); a fixed temperature does not follow it.
        value/q: mean Q(s, a) over the batch and both critics.
        policy/entropy: entropy of the policy in nats, estimated by -log pi(a|s), for actions scaled to [-1, 1].
        policy/temperature: alpha used in the update.
    """

    Config = SACConfig
    config: SACConfig

    def build_actions(self) -> ActionCodec:
        """Create a codec that scales actions to [-1, 1]^D; the action space must be bounded."""
        return UnitActionCodec(self.source.action_space, self.spec.name)

    def build_networks(self, **shape: Any) -> tuple[SquashedGaussianActor, TwinQ]:
        """Create a squashed Gaussian actor over D action dimensions, and critics Q(s, a)."""
        dim = self.actions.dim
        return SquashedGaussianActor(self.codec, dim, **shape), TwinQ(self.codec, dim, 1, **shape)

    def entropy_target(self) -> float:
        """Return the configured target entropy, or -D."""
        return -float(self.actions.dim) if self.config.target_entropy is None else self.config.target_entropy

    def random_action(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Sample uniform actions (count, D) in [-1, 1]."""
        return generator.uniform(-1, 1, (count, self.actions.dim)).astype(np.float32)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Update the critics, the actor, the temperature and the target networks once (algorithm 1)."""
        self.follow_schedule()
        alpha = self.temperature.value
        take = self._step_by_autograd if self.closed_form is None else self._step_in_closed_form
        critic_loss, q, actor_loss, log_prob = take(batch, alpha)
        entropy = -log_prob.mean()
        temperature_loss = self.temperature.update(entropy)  # equation 18
        self.target.update()
        return {
            "loss/critic": critic_loss,
            "loss/actor": actor_loss,
            "loss/temperature": temperature_loss,
            "value/q": q.mean(),
            "policy/entropy": entropy,
            "policy/temperature": alpha,
        }

    def td_target(self, batch: Batch, next_q: Tensor, next_log_prob: Tensor, alpha: Tensor) -> Tensor:
        """Compute y = r + gamma (1 - terminated) (min_i Q'_i(s', a') - alpha log pi(a'|s')), (N,)."""
        next_value = soft.soft_value(next_q, next_log_prob, alpha)
        return soft.td_target(self.scaled(batch.reward), batch.terminated, next_value, self.config.gamma)

    def _step_by_autograd(self, batch: Batch, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Take the gradient steps of critics and actor; returns J_Q, Q(s, a), J_pi and log pi(a|s), a ~ pi."""
        noise = self.streams.torch("policy-noise")
        with torch.no_grad():
            next_action, next_log_prob = self.actor.sample(batch.next_observation, noise)
            next_q = self.target(batch.next_observation, next_action)
            y = self.td_target(batch, next_q, next_log_prob, alpha)
        q = self.critics(batch.observation, batch.action)
        critic_loss = soft.critic_loss(q, y)  # equation 5
        self.critic_optimizer.step(critic_loss)

        action, log_prob = self.actor.sample(batch.observation, noise)
        with torch.no_grad():  # no gradient of the actor's loss reaches the critics or their encoder
            features = self.critics.encode(batch.observation)
        q_of_actor = self.critics.evaluate(features, action)
        actor_loss = soft.actor_loss(q_of_actor, log_prob, alpha, self.config.actor_q)  # equation 9
        self.actor_optimizer.step(actor_loss)
        return critic_loss.detach(), q.detach(), actor_loss.detach(), log_prob.detach()

    @torch.no_grad()
    def _step_in_closed_form(self, batch: Batch, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Do the same for plain perceptrons, without autograd."""
        noise, nets, n = self.streams.torch("policy-noise"), self.closed_form, len(batch.reward)
        # The actor does not change before its own step, so that one evaluation serves both observations.
        nets.actor.evaluate(torch.cat([batch.observation, batch.next_observation]))
        next_q, next_log_prob = nets.evaluate_next(batch.next_observation, slice(n, None), noise)
        y = self.td_target(batch, next_q, next_log_prob, alpha)
        critic_loss, q = nets.step_of_critics(batch, y, self.critic_optimizer)  # equation 5
        step = nets.step_of_actor(batch.observation, noise, alpha, self.config.actor_q, self.actor_optimizer)
        return critic_loss, q, step.loss, step.log_prob
