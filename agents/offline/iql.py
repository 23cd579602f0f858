"""IQL (Kostrikov et al., 2021): implicit Q-learning, which never evaluates an action outside the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.soft import reduce_critics, td_target
from envzoo.agents.networks.target_network import PolyakTarget
from envzoo.agents.offline.base import OfflineActorCritic
from envzoo.agents.offline.closed_form import ClosedFormIQL, fit_critics
from envzoo.agents.offline.config import OfflineConfig, require_at_least_zero, require_positive
from envzoo.agents.offline.networks import StateValue, make_critics, make_policy, shape_of, values_of
from envzoo.agents.optim import make_optimizer
from envzoo.agents.optim.denormals import apply_flushed
from envzoo.agents.spec import require


@dataclass(frozen=True)
class IQLConfig(OfflineConfig):
    """Hyperparameters of IQL; the paper's mazes have expectile 0.9 and inverse_temperature 10."""

    expectile: float = 0.7
    """Expectile tau of the state values: 0.5 is the mean of the data's actions, 1 the best of them."""
    inverse_temperature: float = 3.0
    """Factor beta of the advantages in the policy's weights exp(beta A)."""
    largest_weight: float = 100.0
    """Upper bound of these weights."""
    tau: float = 0.005
    """Polyak coefficient of the target critics."""
    policy_schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate of the policy: falling to 0 over the budget of `learn` like a cosine, or constant."""

    def __post_init__(self):
        super().__post_init__()
        require(0 < self.expectile < 1, f"expectile of IQL lies in (0, 1), got {self.expectile}")
        require(0 < self.tau <= 1, f"tau of IQL lies in (0, 1], got {self.tau}")
        require_at_least_zero(self, "inverse_temperature")
        require_positive(self, "largest_weight")


def expectile_loss(u: Tensor, expectile: float) -> Tensor:
    """Compute the mean of |expectile - 1(u < 0)| u^2, whose minimiser over constants is the expectile of the sample."""
    return ((expectile - (u < 0).to(u.dtype)).abs() * u.square()).mean()


def expectile_gradient(u: Tensor, expectile: float) -> Tensor:
    """Compute the derivative of `expectile_loss` by u, (N,)."""
    return (expectile - (u < 0).to(u.dtype)).abs() * u * (2 / len(u))


def advantage_weight(advantage: Tensor, beta: float, largest: float) -> Tensor:
    """Compute min(exp(beta A), largest), without gradient."""
    return (beta * advantage.detach()).exp().clamp(max=largest)


class IQL(OfflineActorCritic):
    """Implicit Q-learning: replace the maximum over actions by an upper expectile of logged actions.

    Every update takes a gradient step on each of

        L_V = E[|expectile - 1(u < 0)| u^2],  u = min_i Q'_i(s, a) - V(s)       (equation 5)
        L_Q = sum_i E[(r + gamma (1 - terminated) V(s') - Q_i(s, a))^2]         (equation 6)
        L_pi = -E[min(exp(beta u), largest_weight) log pi(a|s)]                 (equation 7)

    with V(s') from before its own step, u without gradient in L_pi, and Q' <- (1 - tau) Q' + tau Q. Box actions have a
    Gaussian policy with a tanh of the mean and a standard deviation of its own. Source: Kostrikov et al. (2021, arXiv
    2110.06169).

    Metrics:
        loss/value: L_V.
        loss/critic: L_Q.
        loss/policy: L_pi.
        value/v: mean V(s).
        value/q: mean Q over the batch and both critics.
        policy/weight: mean weight of the logged actions.
    """

    Config = IQLConfig
    config: IQLConfig
    seed_batch = True

    def build(self) -> None:
        """Create the policy, V, the critics and their target."""
        c = self.config
        shape = shape_of(c, self.streams.torch("weights", "cpu"))
        self.policy = self.register("policy", make_policy(self.codec, self.actions, **shape).to(self.device))
        self.critics = self.register("critics", make_critics(self.codec, self.actions, **shape).to(self.device))
        self.value = self.register("value", StateValue(self.codec, **shape).to(self.device))
        for name in ("policy", "critics", "value"):
            optimizer = make_optimizer(getattr(self, name), c.optimizer, lr=c.learning_rate)
            setattr(self, f"{name}_optimizer", self.register(f"{name}_optimizer", optimizer))
        self.target = self.register("target", PolyakTarget(self.critics, self.critics_optimizer.flat, c.tau))
        self.closed_form = ClosedFormIQL.make(self.policy, self.value, self.critics, self.target.network)

    def begin_iteration(self) -> None:
        """Set the policy's learning rate."""
        if self.config.policy_schedule == "cosine":
            rate = self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * self.progress()))
            self.policy_optimizer.lr = rate

    def iterate(self) -> dict[str, float]:
        """Set the policy's learning rate, and take the gradient steps."""
        self.begin_iteration()
        return super().iterate()

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Update V, the critics, their target and the policy once."""
        return self._update_by_autograd(batch) if self.closed_form is None else self._update_in_closed_form(batch)

    def _update_by_autograd(self, batch: Batch) -> dict[str, Tensor]:
        c = self.config
        with torch.no_grad():
            next_value = self.value(batch.next_observation)
            target = reduce_critics(values_of(self.target.network, batch.observation, batch.action), "min")
        v = self.value(batch.observation)
        u = target - v
        value_loss = expectile_loss(u, c.expectile)
        self.value_optimizer.step(value_loss)

        y = td_target(batch.reward, batch.terminated, next_value, c.gamma)
        q = values_of(self.critics, batch.observation, batch.action)
        critic_loss = (q - y).square().mean(dim=1).sum()
        self.critics_optimizer.step(critic_loss)
        self.target.update()

        weight = advantage_weight(u, c.inverse_temperature, c.largest_weight)
        policy_loss = -(weight * self.policy.log_prob(batch.observation, batch.action)).mean()
        self.policy_optimizer.step(policy_loss)
        return {
            "loss/value": value_loss.detach(),
            "loss/critic": critic_loss.detach(),
            "loss/policy": policy_loss.detach(),
            "value/v": v.detach().mean(),
            "value/q": q.detach().mean(),
            "policy/weight": weight.mean(),
        }

    @torch.no_grad()
    def _update_in_closed_form(self, batch: Batch) -> dict[str, Tensor]:
        """Do the same for plain perceptrons, without autograd."""
        c, nets, n = self.config, self.closed_form, len(batch.reward)
        now, after = self.codec.vector(batch.observation), self.codec.vector(batch.next_observation)
        pairs = torch.cat([now, batch.action], dim=-1)
        v, next_value = nets.value.forward(torch.cat([now, after]))[:, 0].split(n)
        u = reduce_critics(nets.target.forward(pairs), "min") - v
        nets.value.backward(-expectile_gradient(u, c.expectile)[:, None])
        apply_flushed(self.value_optimizer)

        critic_loss, q = fit_critics(
            nets.critics, pairs, td_target(batch.reward, batch.terminated, next_value, c.gamma)
        )
        apply_flushed(self.critics_optimizer)
        self.target.update()

        weight = advantage_weight(u, c.inverse_temperature, c.largest_weight)
        policy_loss = -(weight * nets.policy.log_prob(now, batch.action)).mean()
        nets.policy.backward(weight / -n)
        apply_flushed(self.policy_optimizer)
        return {
            "loss/value": expectile_loss(u, c.expectile),
            "loss/critic": critic_loss,
            "loss/policy": policy_loss,
            "value/v": v.mean(),
            "value/q": q.mean(),
            "policy/weight": weight.mean(),
        }
