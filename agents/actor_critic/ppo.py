"""Proximal policy optimisation (Schulman et al., 2017, arXiv 1707.06347)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch

from envzoo.agents.loops.intrinsic import IntrinsicConfig
from envzoo.agents.loops.on_policy import OnPolicyAgent, Rollout
from envzoo.agents.losses.advantages import generalized_advantages
from envzoo.agents.losses.policy import approximate_kl, clipped_surrogate, clipped_surrogate_gradient
from envzoo.agents.networks.manual_gradients import ClosedFormPolicy
from envzoo.agents.networks.policy import Policy
from envzoo.agents.optim import make_optimizer
from envzoo.agents.schedules import check_rate, first_rate, is_scheduled, rate_at
from envzoo.agents.spec import Holds, require


@dataclass(frozen=True)
class PPOConfig(IntrinsicConfig):
    """Hyperparameters of PPO."""

    num_envs: int = 8
    """Number of parallel environments."""
    num_steps: int = 128
    """Steps per environment and rollout."""
    num_epochs: int = 10
    """Number of epochs per rollout."""
    minibatch_size: int = 256
    """Transitions per gradient step; for a recurrent policy rounded to a whole number of environments."""
    learning_rate: Annotated[float | str, Holds("schedule")] = 1e-3
    """Adam's learning rate: a number, a schedule by name ("cosine:3e-4"), or a function of the share of the budget that
    has been used (see `envzoo.agents.schedules`)."""
    anneal: Literal["none", "learning_rate", "both"] = "both"
    """Quantities annealed linearly to zero over the timestep budget: none, the learning rate, or both it and the clip
    range. A schedule takes the place of the annealed learning rate."""
    gamma: float = 0.99
    """Discount factor."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation (GAE)."""
    clip_range: float = 0.2
    """Clip range of the probability ratio (epsilon of equation 7)."""
    value_coefficient: float = 0.5
    """Coefficient of the value loss (c1 of equation 9)."""
    entropy_coefficient: float = 0.0
    """Coefficient of the entropy bonus in nats (c2 of equation 9)."""
    normalize_advantage: bool = True
    """Normalise the advantages of each minibatch to mean 0 and standard deviation 1."""
    max_grad_norm: float = 0.5
    """Maximum Euclidean norm of the gradient; larger gradients are clipped."""
    target_kl: float | None = None
    """Stop the epochs of a rollout when the approximate KL divergence exceeds 1.5 times this value."""
    encoder: Annotated[str, Holds("encoder")] = "auto"
    """Encoder of the observation: auto, mlp, cnn, efficient_vmamba (images) or symbols; with a memory gru, lstm, lru,
    s4d, mamba, transformer or hopfield; or a class or function of your own (see
    `envzoo.agents.networks.encoders.make_encoder`)."""
    hidden: tuple[int, ...] = (64, 64)
    """Hidden layer sizes (the last one is the width of a memory)."""
    activation: str = "tanh"
    """Activation function of the hidden layers: tanh, relu, gelu or silu."""
    share_encoder: bool = False
    """Share one encoder between actor and critic."""
    initial_log_std: float = 0.0
    """Initial log standard deviation of continuous actions."""
    optimizer: str = "adam"
    """Optimizer: adam, adamw, sgd; with 8-bit statistics adam8bit, adamw8bit, momentum8bit or lion8bit."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("num_envs", "num_steps", "num_epochs", "minibatch_size"):
            require(getattr(self, name) >= 1, f"{name} of PPO is at least 1, got {getattr(self, name)}")
        check_rate("learning_rate", "PPO", self.learning_rate)
        require(0 <= self.gamma <= 1, f"gamma of PPO lies in [0, 1], got {self.gamma}")
        require(0 <= self.gae_lambda <= 1, f"gae_lambda of PPO lies in [0, 1], got {self.gae_lambda}")
        for name in ("clip_range", "max_grad_norm"):
            require(getattr(self, name) > 0, f"{name} of PPO is positive, got {getattr(self, name)}")
        for name in ("value_coefficient", "entropy_coefficient"):
            require(getattr(self, name) >= 0, f"{name} of PPO is not negative, got {getattr(self, name)}")
        require(self.target_kl is None or self.target_kl > 0, f"target_kl of PPO is positive, got {self.target_kl}")
        require(
            -20 <= self.initial_log_std <= 20,  # beyond this range samples overflow float32
            f"initial_log_std of PPO lies in [-20, 20], got {self.initial_log_std}",
        )
        require(all(width >= 1 for width in self.hidden), f"hidden of PPO holds positive widths, got {self.hidden}")


class PPO(OnPolicyAgent):
    """Proximal policy optimisation with the clipped surrogate objective.

    With rho = pi(a|s) / pi_old(a|s), generalised advantages A and returns R = A + V_old(s), PPO minimises

        L_clip = -E[min(rho A, clip(rho, 1 - eps, 1 + eps) A)]      (equation 7)
        L_value = E[(V(s) - R)^2]
        L = L_clip + c1 L_value - c2 E[H(pi(.|s))]                  (equation 9, as a loss)

    over several epochs of minibatches of each rollout. The ratio's clip range eps is `clip_range`, c1 is
    `value_coefficient` and c2 is `entropy_coefficient`. Losses and policy metrics are means over the
    minibatches of the last epoch. Source: Schulman et al. (2017, arXiv 1707.06347).

    Metrics:
        loss/policy: L_clip.
        loss/value: L_value, without the coefficient c1.
        policy/entropy: entropy of the policy in nats.
        policy/approximate_kl: estimate of KL(pi_old || pi), the mean of (rho - 1) - log rho.
        policy/clip_fraction: fraction of transitions with |rho - 1| > eps.
        policy/learning_rate: learning rate after annealing.
        value/explained_variance: 1 - Var(A) / Var(R) of the rollout, 1 for a perfect critic.
    """

    Config = PPOConfig
    config: PPOConfig
    takes_bonus = True

    def build_policy(self) -> Policy:
        """Create the actor and the critic."""
        c = self.config
        return Policy(
            self.codec,
            self.actions,
            encoder=c.encoder,
            hidden=c.hidden,
            activation=c.activation,
            generator=self.streams.torch("weights", "cpu"),
            shared=c.share_encoder,
            initial_log_std=c.initial_log_std,
        )

    def build(self) -> None:
        """Create the optimizer (with Adam's epsilon 1e-5), and closed-form gradients where supported."""
        c = self.config
        self.optimizer = self.register(
            "optimizer",
            make_optimizer(
                self.policy, c.optimizer, lr=first_rate(c.learning_rate), eps=1e-5, max_grad_norm=c.max_grad_norm
            ),
        )
        self.closed_form = ClosedFormPolicy(self.policy) if ClosedFormPolicy.fits(self.policy) else None

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Optimise L = L_clip + c1 L_value - c2 H by minibatch steps over several epochs (equation 9).

        The gradient is computed in closed form up to the network's outputs, and throughout for plain networks. The
        metrics describe the last epoch.
        """
        c = self.config
        advantage = generalized_advantages(
            rollout.reward, rollout.value, rollout.next_value, rollout.terminated, rollout.done, c.gamma, c.gae_lambda
        )
        if rollout.bonus is not None:
            advantage = advantage + rollout.bonus
        remaining = 1 - self.progress()
        annealed = c.anneal != "none" and not is_scheduled(c.learning_rate)
        self.optimizer.lr = rate_at(c.learning_rate, 1 - remaining) * (remaining if annealed else 1.0)
        clip_range = c.clip_range * (remaining if c.anneal == "both" else 1.0)
        returns = torch.from_numpy(advantage + rollout.value).to(self.device)
        advantages = torch.from_numpy(advantage).to(self.device)
        metrics: dict[str, float] = {}
        self.observe_batch(rollout, metrics)
        make = self._sequences if self.policy.recurrent else self._transitions
        for epoch in range(c.num_epochs):
            last, sums, steps, stop = epoch == c.num_epochs - 1, 0.0, 0, False
            for log_prob, entropy, value, old_log_prob, a, target in make(rollout, advantages, returns):
                with torch.no_grad():
                    if c.normalize_advantage and len(a) > 1:
                        std, mean = torch.std_mean(a)
                        a = (a - mean) / (std + 1e-8)
                    policy_gradient, ratio = clipped_surrogate_gradient(log_prob, old_log_prob, a, clip_range)
                    error = value - target
                    if last or c.target_kl is not None:
                        found = self._diagnose(log_prob, old_log_prob, ratio, error, entropy, a, clip_range)
                        sums, steps = sums + found, steps + 1
                        stop = c.target_kl is not None and float(found[3]) > 1.5 * c.target_kl
                if stop:
                    break
                # dL/d(log pi), dL/dV = 2 c1 (V - target) / N, dL/d(entropy) = -c2 / N
                outputs = [log_prob, value]
                gradients = [policy_gradient, error * (2 * c.value_coefficient / len(error))]
                if c.entropy_coefficient:
                    outputs.append(entropy)
                    gradients.append(torch.full_like(entropy, -c.entropy_coefficient / len(entropy)))
                if self.closed_form is None:
                    self.optimizer.step(*outputs, gradients=gradients)
                else:
                    self.closed_form.backward(*gradients)
                    self.optimizer.apply()
            if stop:
                break
        names = ("loss/policy", "loss/value", "policy/entropy", "policy/approximate_kl", "policy/clip_fraction")
        metrics |= dict(zip(names, (sums / steps).tolist(), strict=True))
        explained = 1 - np.var(advantage[rollout.valid]) / max(
            np.var((advantage + rollout.value)[rollout.valid]), 1e-12
        )
        return metrics | {"value/explained_variance": float(explained), "policy/learning_rate": self.optimizer.lr}

    @staticmethod
    def _diagnose(log_prob, old_log_prob, ratio, error, entropy, advantage, clip_range) -> torch.Tensor:
        """Compute policy loss, value loss, entropy, approximate KL and clip fraction of a minibatch, (5,)."""
        policy_loss, _ = clipped_surrogate(log_prob, old_log_prob, advantage, clip_range)
        clipped = ((ratio - 1).abs() > clip_range).float().mean()
        kl = approximate_kl(log_prob, old_log_prob)
        return torch.stack([policy_loss, error.square().mean(), entropy.mean(), kl, clipped])

    def _transitions(self, rollout: Rollout, advantages: torch.Tensor, returns: torch.Tensor):
        """Yield minibatches of single transitions, for a memoryless policy."""
        chosen = torch.from_numpy(np.flatnonzero(rollout.valid.reshape(-1))).to(self.device)
        fields = [
            tensor.reshape(-1, *tensor.shape[2:])
            for tensor in (rollout.observation, rollout.action, rollout.log_prob, advantages, returns)
        ]
        order = chosen[torch.randperm(len(chosen), generator=self.streams.torch("minibatches"), device=self.device)]
        shuffled = [field[order] for field in fields]
        evaluate = (self.closed_form or self.policy).evaluate
        for minibatch in zip(*(field.split(self.config.minibatch_size) for field in shuffled), strict=True):
            observation, action, old_log_prob, advantage, target = minibatch
            yield *evaluate(observation, action), old_log_prob, advantage, target

    def _sequences(self, rollout: Rollout, advantages: torch.Tensor, returns: torch.Tensor):
        """Yield minibatches of whole environments, for a recurrent policy."""
        steps, num_envs = rollout.reward.shape
        size = max(1, min(num_envs, round(self.config.minibatch_size / steps)))
        order = torch.randperm(num_envs, generator=self.streams.torch("minibatches"), device=self.device)
        start = torch.from_numpy(rollout.start).to(self.device)
        valid = torch.from_numpy(rollout.valid).to(self.device)
        for envs in order.split(size):
            keep = valid[:, envs]
            evaluation = self.policy.evaluate(
                rollout.observation[:, envs], rollout.action[:, envs], rollout.state[envs], start[:, envs]
            )
            others = (rollout.log_prob[:, envs], advantages[:, envs], returns[:, envs])
            yield tuple(tensor[keep] for tensor in (*evaluation, *others))
