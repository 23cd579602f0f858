"""TD3 on a dataset (Fujimoto et al., 2018), and the base of its regularised forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.actor_critic.soft_networks import TwinQ
from envzoo.agents.imitation.bc import DeterministicPolicy
from envzoo.agents.loops.fine_tuning import FineTunableAgent
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.noise import normal_like
from envzoo.agents.losses.soft import reduce_critics, td_target
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.rescaled_actions import UnitActionCodec
from envzoo.agents.networks.target_network import PolyakTarget
from envzoo.agents.offline.closed_form import ClosedFormTD3, fit_critics
from envzoo.agents.offline.config import OfflineConfig, require_at_least_zero
from envzoo.agents.optim import make_optimizer
from envzoo.agents.optim.denormals import apply_flushed
from envzoo.agents.spec import require
from envzoo.agents.state_holder import StateHolder
from envzoo.datasets.table import TransitionTable

EXPLORATION_NOISE = 0.1  # standard deviation of the noise on actions in an environment, as in the paper's code


@dataclass(frozen=True)
class TD3Config(OfflineConfig):
    """Hyperparameters of TD3 on a dataset."""

    tau: float = 0.005
    """Polyak coefficient of the target networks."""
    policy_noise: float = 0.2
    """Standard deviation of the noise of the target policy's actions, which are scaled to [-1, 1]."""
    noise_clip: float = 0.5
    """Largest absolute value of that noise."""
    policy_delay: int = 2
    """Critic updates per update of the actor and of all target networks."""

    def __post_init__(self):
        super().__post_init__()
        agent = type(self).__name__.removesuffix("Config")
        require(0 < self.tau <= 1, f"tau of {agent} lies in (0, 1], got {self.tau}")
        require(self.policy_delay >= 1, f"policy_delay of {agent} is at least 1, got {self.policy_delay}")
        require_at_least_zero(self, "policy_noise", "noise_clip")


class ActorLoss(NamedTuple):
    """The actor's loss as a function of its actions and their values.

    Attributes:
        value: The loss.
        by_action: (N, D), its derivative by the actions at fixed values.
        by_q: (N,), its derivative by the values.
        metrics: Further metrics.
    """

    value: Tensor
    by_action: Tensor
    by_q: Tensor
    metrics: dict[str, Tensor]


class TD3(FineTunableAgent):
    """Twin delayed deep deterministic policy gradient, on a dataset.

    With a' = clip(pi'(s') + clip(policy_noise n, -noise_clip, noise_clip), -1, 1) and y = r + gamma (1 - terminated)
    min_i Q'_i(s', a'), every update takes a gradient step on

        L_Q = sum_i E[(Q_i(s, a) - y)^2]                            (critics)

    and every `policy_delay`-th one also a step on

        L_pi = -E[Q_1(s, pi(s))]                                    (actor)

    followed by Q' <- (1 - tau) Q' + tau Q and likewise for pi'. Nothing keeps the actor near the data, so that its
    values are usually far too high; use it to see what a regulariser is for. Source: Fujimoto et al. (2018, arXiv
    1802.09477).

    Metrics:
        loss/critic: L_Q.
        loss/actor: L_pi.
        value/q: mean Q over the batch and both critics.
        value/q_policy: mean Q_1(s, pi(s)).
    """

    Config = TD3Config
    config: TD3Config
    seed_batch = True

    def build_actions(self) -> ActionCodec:
        """Create a codec that scales actions to [-1, 1]^D; the action space must be bounded."""
        return UnitActionCodec(self.source.action_space, self.spec.name)

    def prepare(self, table: TransitionTable) -> TransitionTable:
        """Shape the rewards."""
        return self.config.shape_rewards(table)

    def shape_reward(self, reward: np.ndarray) -> np.ndarray:
        """Shape rewards of the environment."""
        return self.config.shape_reward(reward)

    def explore(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Select the actor's actions with normal noise, within [-1, 1]."""
        action = self.actor(x)
        noise = torch.empty_like(action).normal_(generator=generator)
        return (action + EXPLORATION_NOISE * noise).clamp(-1, 1)

    def build(self) -> None:
        """Create actor, critics, their targets and their optimizers."""
        c = self.config
        shape = {
            "encoder": c.encoder,
            "hidden": c.hidden,
            "activation": c.activation,
            "generator": self.streams.torch("weights", "cpu"),
        }
        actor = DeterministicPolicy(self.codec, self.actions, squash=True, **shape)
        self.actor = self.register("actor", actor.to(self.device))
        self.critics = self.register("critics", TwinQ(self.codec, self.actions.dim, 1, **shape).to(self.device))
        self.actor_optimizer = self.register(
            "actor_optimizer", make_optimizer(self.actor, c.optimizer, lr=c.learning_rate)
        )
        self.critic_optimizer = self.register(
            "critic_optimizer", make_optimizer(self.critics, c.optimizer, lr=c.learning_rate)
        )
        self.target_actor = self.register("target_actor", PolyakTarget(self.actor, self.actor_optimizer.flat, c.tau))
        self.target = self.register("target", PolyakTarget(self.critics, self.critic_optimizer.flat, c.tau))
        self.count = self.register("count", StateHolder(updates=0))
        self.closed_form = ClosedFormTD3.make(self.actor, self.critics, self.target_actor.network, self.target.network)

    def target_values(self, batch: Batch) -> Tensor:
        """Compute y (N,), with noise on the target policy's actions."""
        nets, following = self.closed_form, batch.next_observation
        if nets is None:
            q = self.target(following, self.smooth(self.target_actor(following)))
        else:
            vector = self.codec.vector(following)
            action = self.smooth(nets.target_actor.forward(vector).tanh())
            q = nets.target.forward(torch.cat([vector, action], dim=-1))
        return td_target(batch.reward, batch.terminated, reduce_critics(q, "min"), self.config.gamma)

    def smooth(self, action: Tensor) -> Tensor:
        """Add clipped noise to actions (N, D) of the target policy."""
        c = self.config
        noise = normal_like(action, self.streams.torch("policy-noise"))
        noise = noise.mul_(c.policy_noise).clamp(-c.noise_clip, c.noise_clip)
        return (action + noise).clamp(-1, 1)

    def actor_loss(self, batch: Batch, action: Tensor, q: Tensor) -> ActorLoss:
        """Compute the actor's loss, its derivatives, and metrics.

        Args:
            batch: The minibatch.
            action: (N, D), pi(s), without gradient.
            q: (N,), Q_1(s, pi(s)), without gradient.
        """
        return ActorLoss(-q.mean(), torch.zeros_like(action), torch.full_like(q, -1 / len(q)), {})

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Update the critics, and every `policy_delay`-th time the actor and the targets."""
        take = self._step_by_autograd if self.closed_form is None else self._step_in_closed_form
        self.count.updates += 1
        moves_actor = self.count.updates % self.config.policy_delay == 0
        metrics = take(batch, moves_actor)
        if moves_actor:
            self.target.update()
            self.target_actor.update()
        return metrics

    def _step_by_autograd(self, batch: Batch, moves_actor: bool) -> dict[str, Tensor]:
        """Take the gradient step of the critics, and that of the actor if it moves."""
        with torch.no_grad():
            y = self.target_values(batch)
        q = self.critics(batch.observation, batch.action)
        critic_loss = (q - y).square().mean(dim=1).sum()
        self.critic_optimizer.step(critic_loss)
        metrics = {"loss/critic": critic_loss.detach(), "value/q": q.detach().mean()}
        if moves_actor:
            with torch.no_grad():
                features = self.critics.encode(batch.observation)
            action = self.actor(batch.observation)
            value = self.critics.evaluate_first(features, action)
            q = value.detach()
            loss = self.actor_loss(batch, action.detach(), q)
            self.actor_optimizer.step(action, value, gradients=(loss.by_action, loss.by_q))
            metrics |= {"loss/actor": loss.value, "value/q_policy": q.mean()} | loss.metrics
        return metrics

    @torch.no_grad()
    def _step_in_closed_form(self, batch: Batch, moves_actor: bool) -> dict[str, Tensor]:
        """Do the same for plain perceptrons, without autograd."""
        nets, now, y = self.closed_form, self.codec.vector(batch.observation), self.target_values(batch)
        critic_loss, q = fit_critics(nets.critics, torch.cat([now, batch.action], dim=-1), y)
        apply_flushed(self.critic_optimizer)
        metrics = {"loss/critic": critic_loss, "value/q": q.mean()}
        if moves_actor:
            action = nets.actor.forward(now).tanh()
            q = nets.critics.forward(torch.cat([now, action], dim=-1), 1)[0]
            loss = self.actor_loss(batch, action, q)
            by_action = loss.by_action + nets.critics.by_input(loss.by_q[None], action.shape[1])
            nets.actor.backward(torch.ops.aten.tanh_backward(by_action, action))
            apply_flushed(self.actor_optimizer)
            metrics |= {"loss/actor": loss.value, "value/q_policy": q.mean()} | loss.metrics
        return metrics

    def act(self, x: Tensor, generator: torch.Generator, deterministic: bool) -> Tensor:
        """Select the actor's actions; it has no others."""
        return self.actor(x)
