"""AWAC (Nair et al., 2020): cloning weighted by the advantage under the policy itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.soft import reduce_critics, td_target
from envzoo.agents.networks.target_network import PolyakTarget
from envzoo.agents.offline.base import OfflineActorCritic
from envzoo.agents.offline.config import OfflineConfig, require_positive
from envzoo.agents.offline.iql import advantage_weight
from envzoo.agents.offline.networks import make_critics, make_policy, shape_of, values_of
from envzoo.agents.optim import make_optimizer
from envzoo.agents.spec import require


@dataclass(frozen=True)
class AWACConfig(OfflineConfig):
    """Hyperparameters of AWAC."""

    temperature: float = 1.0
    """Lagrange multiplier lambda of the weights exp(A / lambda): small values choose the best logged actions."""
    largest_weight: float = 100.0
    """Upper bound of these weights."""
    tau: float = 0.005
    """Polyak coefficient of the target critics."""

    def __post_init__(self):
        super().__post_init__()
        require(0 < self.tau <= 1, f"tau of AWAC lies in (0, 1], got {self.tau}")
        require_positive(self, "temperature", "largest_weight")


class AWAC(OfflineActorCritic):
    """Advantage-weighted actor-critic.

    With V(s) = E_(a ~ pi)[min_i Q_i(s, a)], one sample of the policy for Box actions and exact for Discrete ones, every
    update takes a gradient step on each of

        L_Q = sum_i E[(r + gamma (1 - terminated) V'(s') - Q_i(s, a))^2]
        L_pi = -E[min(exp((min_i Q_i(s, a) - V(s)) / lambda), largest_weight) log pi(a|s)]

    with V' from the target critics, and Q' <- (1 - tau) Q' + tau Q. Source: Nair et al. (2020, arXiv 2006.09359).

    Metrics:
        loss/critic: L_Q.
        loss/policy: L_pi.
        value/q: mean Q over the batch and both critics.
        policy/weight: mean weight of the logged actions.
    """

    Config = AWACConfig
    config: AWACConfig

    def build(self) -> None:
        """Create the policy, the critics and their target."""
        c = self.config
        shape = shape_of(c, self.streams.torch("weights", "cpu"))
        self.policy = self.register("policy", make_policy(self.codec, self.actions, **shape).to(self.device))
        self.critics = self.register("critics", make_critics(self.codec, self.actions, **shape).to(self.device))
        for name in ("policy", "critics"):
            optimizer = make_optimizer(getattr(self, name), c.optimizer, lr=c.learning_rate)
            setattr(self, f"{name}_optimizer", self.register(f"{name}_optimizer", optimizer))
        self.target = self.register("target", PolyakTarget(self.critics, self.critics_optimizer.flat, c.tau))

    def state_value(self, critics: torch.nn.Module, x: Tensor) -> Tensor:
        """Compute V(s) under the policy, (N,)."""
        if self.actions.discrete:
            probabilities = self.policy(x).exp()
            return (probabilities * reduce_critics(critics(x), "min")).sum(dim=-1)
        action = self.policy.act(x, self.streams.torch("policy-noise"), deterministic=False)
        return reduce_critics(critics(x, action), "min")

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Update the critics, their target and the policy once."""
        c = self.config
        with torch.no_grad():
            next_value = self.state_value(self.target.network, batch.next_observation)
            y = td_target(batch.reward, batch.terminated, next_value, c.gamma)
        q = values_of(self.critics, batch.observation, batch.action)
        critic_loss = (q - y).square().mean(dim=1).sum()
        self.critics_optimizer.step(critic_loss)

        with torch.no_grad():
            logged = reduce_critics(values_of(self.critics, batch.observation, batch.action), "min")
            advantage = logged - self.state_value(self.critics, batch.observation)
        weight = advantage_weight(advantage, 1 / c.temperature, c.largest_weight)
        policy_loss = -(weight * self.policy.log_prob(batch.observation, batch.action)).mean()
        self.policy_optimizer.step(policy_loss)
        self.target.update()
        return {
            "loss/critic": critic_loss.detach(),
            "loss/policy": policy_loss.detach(),
            "value/q": q.detach().mean(),
            "policy/weight": weight.mean(),
        }
