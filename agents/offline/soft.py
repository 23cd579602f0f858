"""Base of the offline agents whose policy for Box actions is that of SAC."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from envzoo.agents.actor_critic.closed_form import ClosedFormSoft
from envzoo.agents.actor_critic.soft_networks import SquashedGaussianActor
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.soft import actor_loss, reduce_critics
from envzoo.agents.networks.action import MaskReader
from envzoo.agents.networks.lagrange import DualVariable
from envzoo.agents.networks.target_network import PolyakTarget
from envzoo.agents.offline.base import OfflineActorCritic
from envzoo.agents.offline.config import OfflineConfig, require_positive
from envzoo.agents.offline.networks import make_critics, shape_of
from envzoo.agents.optim import make_optimizer
from envzoo.agents.spec import require


@dataclass(frozen=True)
class SoftOfflineConfig(OfflineConfig):
    """Hyperparameters of offline agents with SAC's policy."""

    policy_learning_rate: float = 3e-5
    """Box actions: Adam's learning rate of the actor and of the temperature."""
    tau: float = 0.005
    """Polyak coefficient of the target critics."""

    def __post_init__(self):
        super().__post_init__()
        agent = type(self).__name__.removesuffix("Config")
        require_positive(self, "policy_learning_rate")
        require(0 < self.tau <= 1, f"tau of {agent} lies in (0, 1], got {self.tau}")


class SoftOfflineAgent(OfflineActorCritic):
    """Two critics with a target; for Box actions also a squashed Gaussian actor and a learned temperature."""

    config: SoftOfflineConfig

    def build(self) -> None:
        """Create critics and target; for Box actions also the actor and the temperature."""
        c = self.config
        shape = shape_of(c, self.streams.torch("weights", "cpu"))
        self.critics = self.register("critics", make_critics(self.codec, self.actions, **shape).to(self.device))
        self.critic_optimizer = self.register(
            "critic_optimizer", make_optimizer(self.critics, c.optimizer, lr=c.learning_rate)
        )
        self.target = self.register("target", PolyakTarget(self.critics, self.critic_optimizer.flat, c.tau))
        self.closed_form: ClosedFormSoft | None = None
        if self.actions.discrete:
            self.masks = MaskReader(self.codec, self.actions.n)
            return
        actor = SquashedGaussianActor(self.codec, self.actions.dim, **shape)
        self.actor = self.register("actor", actor.to(self.device))
        self.actor_optimizer = self.register(
            "actor_optimizer", make_optimizer(self.actor, c.optimizer, lr=c.policy_learning_rate)
        )
        self.closed_form = ClosedFormSoft.make(self.actor, self.critics, self.target.network)
        self.temperature = self.register(
            "temperature",
            DualVariable(1.0, target=-float(self.actions.dim), lr=c.policy_learning_rate, device=self.device),
        )

    def update_actor(self, batch: Batch) -> dict[str, Tensor]:
        """Take SAC's step of the actor and of the temperature."""
        alpha, noise = self.temperature.value, self.streams.torch("policy-noise")
        if self.closed_form is None:
            action, log_prob = self.actor.sample(batch.observation, noise)
            with torch.no_grad():
                features = self.critics.encode(batch.observation)
            loss = actor_loss(self.critics.evaluate(features, action), log_prob, alpha)
            self.actor_optimizer.step(loss)
            loss, log_prob = loss.detach(), log_prob.detach()
        else:
            with torch.no_grad():
                self.closed_form.actor.evaluate(batch.observation)
                loss, log_prob = self.closed_form.step_of_actor(
                    batch.observation, noise, alpha, "min", self.actor_optimizer
                )
        self.temperature.update(-log_prob.mean())
        return {"loss/actor": loss, "policy/temperature": alpha}

    def act(self, x: Tensor, generator: torch.Generator, deterministic: bool) -> Tensor:
        """Select actions: the greedy one (Discrete), or the mode or a sample of the actor (Box)."""
        if self.actions.discrete:
            return self.masks.restrict(reduce_critics(self.critics(x), "min"), x).argmax(dim=-1)
        return self.actor.act(x, generator, deterministic)
