"""Submodular policy optimisation (Prajapat et al., ICLR 2024, arXiv 2307.13372)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from envzoo.agents.loops.intrinsic import IntrinsicConfig
from envzoo.agents.loops.on_policy import OnPolicyAgent, Rollout
from envzoo.agents.losses.advantages import cumulative_rewards, reward_to_go
from envzoo.agents.losses.policy import score_function_loss
from envzoo.agents.networks.policy import Policy, TabularPolicy
from envzoo.agents.optim import make_optimizer
from envzoo.agents.spec import require


@dataclass(frozen=True)
class SubPOConfig(IntrinsicConfig):
    """Hyperparameters of SubPO and ModPO, which differ only in the reward."""

    policy: Literal["tabular", "mlp", "gru", "lstm", "lru", "s4d", "mamba", "transformer", "hopfield"] = "tabular"
    """tabular: Markovian table of logits; mlp: Markovian network; gru and the rest: history-dependent networks."""
    num_envs: int = 128
    """Trajectories per update (B); the official code uses 500."""
    learning_rate: float | None = None
    """Adam's learning rate; None for 0.1 with a table and 0.005 with a network."""
    credit: Literal["reward-to-go", "cumulative"] = "reward-to-go"
    """Weight of grad log pi(a_h): the gains from step h on (the paper), or the gains up to step h (the released code,
    myopic)."""
    baseline: Literal["batch", "none"] = "batch"
    """Baseline of the return: the mean over the batch at each step, or none."""
    entropy_coefficient: float = 0.0
    """Coefficient of the entropy bonus, divided by the update number as in the official code."""
    gamma: float = 1.0
    """Discount factor; the paper uses none."""
    hidden: tuple[int, ...] = (64, 32)
    """Hidden layer sizes of a network (the last one is the width of a memory)."""
    activation: str = "tanh"
    """Activation function of the hidden layers: tanh, relu, gelu or silu."""
    optimizer: str = "adam"
    """Optimizer: adam, adamw, sgd; with 8-bit statistics adam8bit, adamw8bit, momentum8bit or lion8bit."""

    def __post_init__(self):
        super().__post_init__()
        require(self.num_envs >= 1, f"num_envs of SubPO is at least 1, got {self.num_envs}")
        require(
            self.learning_rate is None or self.learning_rate > 0,
            f"learning_rate of SubPO is positive, got {self.learning_rate}",
        )
        require(0 < self.gamma <= 1, f"gamma of SubPO lies in (0, 1], got {self.gamma}")


class SubPO(OnPolicyAgent):
    """Submodular policy optimisation: REINFORCE on marginal gains.

    For a monotone submodular F the objective is J(pi) = E_tau[F(tau)], with the gradient

        grad J = E[sum_i grad log pi(a_i|.) (sum_{j >= i} F(s_{j+1} | tau_{0:j}) - b_i)]

    (the paper's policy-gradient theorem for SubRL). The environment's reward must be the marginal gain F(s_{j+1} |
    tau_{0:j}). Each iteration samples whole episodes and takes one gradient step. Source: Prajapat et al. (ICLR 2024,
    arXiv 2307.13372).

    Metrics:
        loss/policy: -mean log pi(a_i|.) A_i, minus the weighted entropy bonus, with A_i on the scale of the official
            code.
        policy/entropy: mean entropy of the policy in nats.
    """

    Config = SubPOConfig
    config: SubPOConfig

    def build_policy(self) -> Policy | TabularPolicy:
        """Create a table, or a network without a critic."""
        c = self.config
        if c.policy == "tabular":
            return TabularPolicy(self.codec, self.actions)
        return Policy(
            self.codec,
            self.actions,
            encoder="auto" if c.policy == "mlp" else c.policy,
            hidden=c.hidden,
            activation=c.activation,
            generator=self.streams.torch("weights", "cpu"),
            critic=False,
        )

    def build(self) -> None:
        """Create the optimizer."""
        c = self.config
        rate = c.learning_rate if c.learning_rate is not None else (0.1 if c.policy == "tabular" else 0.005)
        self.optimizer = self.register("optimizer", make_optimizer(self.policy, c.optimizer, lr=rate))

    def advantages(self, rollout: Rollout) -> np.ndarray:
        """Compute the credit of each action minus the baseline, on the scale of the official code, (T, B) float32."""
        c = self.config
        steps = len(rollout.reward)
        reward = np.where(rollout.valid, rollout.reward, np.float32(0))
        if c.credit == "reward-to-go":
            credit = reward_to_go(reward, rollout.done, c.gamma)
        else:
            credit = cumulative_rewards(reward, rollout.start)
        if c.baseline == "batch":
            count = np.maximum(rollout.valid.sum(axis=1, keepdims=True), 1)
            credit = credit - (credit * rollout.valid).sum(axis=1, keepdims=True) / count
        # MAX_Ret = 2 (H + 1) of the official code, H the number of states of a trajectory. It scales the loss, which
        # matters for the entropy bonus and for optimizers other than Adam.
        return (credit / np.float32(2 * (steps + 2))).astype(np.float32)

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Take one Adam step on -mean log pi(a_i|s_i) A_i - c H(pi) / update."""
        c = self.config
        advantage = torch.from_numpy(self.advantages(rollout)).to(self.device)
        metrics: dict[str, float] = {}
        self.observe_batch(rollout, metrics)
        start = torch.from_numpy(rollout.start).to(self.device) if self.policy.recurrent else None
        evaluation = self.policy.evaluate(rollout.observation, rollout.action, rollout.state, start)
        weight = None if rollout.valid.all() else torch.from_numpy(rollout.valid).to(self.device).float()
        loss = score_function_loss(evaluation.log_prob, advantage, weight)
        valid = torch.ones_like(advantage) if weight is None else weight
        entropy = (evaluation.entropy * valid).sum() / valid.sum()
        if c.entropy_coefficient:
            loss = loss - c.entropy_coefficient / (self.iteration + 1) * entropy
        self.optimizer.step(loss)
        return metrics | {"loss/policy": float(loss.detach()), "policy/entropy": float(entropy.detach())}
