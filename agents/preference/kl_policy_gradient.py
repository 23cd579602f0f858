"""REINFORCE with a penalty on the KL divergence from a reference policy."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.loops.on_policy import OnPolicyAgent, Rollout
from envzoo.agents.losses.advantages import reward_to_go
from envzoo.agents.losses.policy import score_function_loss
from envzoo.agents.networks.policy import Policy, TabularPolicy
from envzoo.agents.optim import make_optimizer
from envzoo.agents.preference.reference import reference_policy
from envzoo.agents.spec import require
from envzoo.errors import UnsupportedSpaceError


@dataclass(frozen=True)
class KLPolicyGradientConfig:
    """Hyperparameters of KLPolicyGradient."""

    kl_coefficient: float = 1.0
    """Weight of the KL divergence (1 / lambda); the best policy is the tilt of the reference with multiplier lambda."""
    policy: Literal["tabular", "mlp"] = "tabular"
    """tabular: logits for each observation, which begin at the reference policy; mlp: a network."""
    num_envs: int = 64
    """Episodes per update."""
    learning_rate: float | None = None
    """Learning rate; None for 0.05 with a table and 0.003 with a network."""
    anneal: bool = True
    """Decrease the learning rate linearly to 0 over the budget."""
    hidden: tuple[int, ...] = (64, 64)
    """Hidden layer sizes of a network."""
    activation: str = "tanh"
    """Activation function of the hidden layers: tanh, relu, gelu or silu."""
    optimizer: str = "adam"
    """Optimizer: adam, adamw, sgd; with 8-bit statistics adam8bit, adamw8bit, momentum8bit or lion8bit."""

    def __post_init__(self):
        name = "KLPolicyGradient"
        require(self.kl_coefficient >= 0, f"kl_coefficient of {name} is not negative, got {self.kl_coefficient}")
        require(self.num_envs >= 2, f"num_envs of {name} is at least 2, got {self.num_envs}")
        rate = self.learning_rate
        require(rate is None or rate > 0, f"learning_rate of {name} is positive, got {rate}")

    @property
    def rate(self) -> float:
        """Initial learning rate."""
        return self.learning_rate or (0.05 if self.policy == "tabular" else 0.003)


class KLPolicyGradient(OnPolicyAgent):
    """Policy gradient on the reward minus a multiple of the KL divergence from a reference policy.

    Maximises, over whole episodes,

        J(pi) = E_pi[sum_t r_t - beta log(pi(a_t | s_t) / p(a_t | s_t))],    beta = kl_coefficient,

    by REINFORCE: grad J = E[sum_t grad log pi(a_t | s_t) (G_t - b_t)], where G_t sums the bracket from step t on, and
    b_t is its mean over the other episodes of the batch. For sequences, the maximiser is the tilt p(y) exp(R(y) / beta)
    / Z. The reference p is the environment's attribute `reference_policy` if it has one, otherwise the policy at the
    start. Each iteration plays `num_envs` episodes and takes one Adam step.

    Source: the KL-regularised objective of Yang et al. 2024 (arXiv 2404.01730), section II.

    Metrics:
        policy/kl: Mean over steps of log(pi / p), an estimate of the KL divergence per step.
        policy/entropy: Mean entropy of the policy in nats.
        loss/policy: -mean log pi(a_t | s_t) (G_t - b_t).
    """

    Config = KLPolicyGradientConfig
    config: KLPolicyGradientConfig

    def build_policy(self) -> Policy | TabularPolicy:
        """Create the policy, at the reference of the environment if it is a table."""
        c = self.config
        found = reference_policy(self.source, self.actions.n)
        self.log_reference = None if found is None else torch.log(torch.from_numpy(found))
        if c.policy == "tabular":
            policy = TabularPolicy(self.codec, self.actions)
            if found is not None:
                self._check_rows(policy.logits.shape[0])
                with torch.no_grad():
                    policy.logits.copy_(self.log_reference.expand(policy.logits.shape))
            return policy
        return Policy(
            self.codec,
            self.actions,
            encoder="auto",
            hidden=c.hidden,
            activation=c.activation,
            generator=self.streams.torch("weights", "cpu"),
            critic=False,
        )

    def _check_rows(self, states: int) -> None:
        rows = self.log_reference.shape
        if len(rows) == 2 and rows[0] != states:
            raise UnsupportedSpaceError(
                f"reference_policy of {self.source.name} has {rows[0]} rows, but there are {states} observations"
            )

    def build(self) -> None:
        """Create the optimizer and, where the environment has no reference policy, a copy of the initial policy."""
        self.optimizer = self.register(
            "optimizer", make_optimizer(self.policy, self.config.optimizer, lr=self.config.rate)
        )
        self.start = None
        if self.log_reference is None:
            self.start = self.register("reference", deepcopy(self.policy).requires_grad_(False))
        else:
            if self.log_reference.ndim == 2:
                self._check_rows(self.codec.num_states or 0)
            self.log_reference = self.log_reference.float().to(self.device)

    @torch.no_grad()
    def reference_log_prob(self, observation: Tensor, action: Tensor) -> Tensor:
        """Compute log p(a | s) of packed observations (..., P) and actions (...)."""
        if self.start is not None:
            return self.start.evaluate(observation, action).log_prob
        if self.log_reference.ndim == 1:
            return self.log_reference[action]
        return self.log_reference[self.codec.index(observation), action]

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Take one Adam step on a batch of whole episodes."""
        c = self.config
        evaluation = self.policy.evaluate(rollout.observation, rollout.action)
        ratio = (evaluation.log_prob.detach() - self.reference_log_prob(rollout.observation, rollout.action)).cpu()
        valid = rollout.valid.astype(np.float32)
        bracket = (rollout.reward - np.float32(c.kl_coefficient) * ratio.numpy()) * valid
        credit = reward_to_go(bracket.astype(np.float32), rollout.done, 1.0)
        advantage = torch.from_numpy(leave_one_out(credit, valid)).to(self.device)
        weight = torch.from_numpy(valid).to(self.device)
        loss = score_function_loss(evaluation.log_prob, advantage, weight)
        if c.anneal:
            self.optimizer.lr = c.rate * (1 - self.progress())
        self.optimizer.step(loss)
        return {
            "loss/policy": float(loss.detach()),
            "policy/kl": float((ratio.numpy() * valid).sum() / valid.sum()),
            "policy/entropy": float((evaluation.entropy.detach() * weight).sum() / weight.sum()),
        }


def leave_one_out(credit: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Subtract from each credit (T, B) the mean at the same step over the other episodes that still run."""
    total = (credit * valid).sum(axis=1, keepdims=True)
    others = valid.sum(axis=1, keepdims=True) - valid
    mean = np.where(others > 0, (total - credit * valid) / np.maximum(others, 1), 0.0)
    return ((credit - mean) * valid).astype(np.float32)
