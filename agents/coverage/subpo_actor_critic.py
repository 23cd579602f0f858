"""SubPO with an actor-critic, for continuous control (Prajapat et al., ICLR 2024, arXiv 2307.13372, experiments)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envzoo.agents.actor_critic.ppo import PPO, PPOConfig


@dataclass(frozen=True)
class SubPOActorCriticConfig(PPOConfig):
    """Hyperparameters of SubPOActorCritic; defaults are those of the paper's continuous tasks."""

    num_envs: int = 15
    """Number of parallel environments."""
    num_steps: int = 400
    """Steps per environment and rollout."""
    num_epochs: int = 1
    """Number of epochs per rollout; with one epoch and the whole rollout as the minibatch, nothing is clipped."""
    minibatch_size: int = 1_000_000
    """Transitions per gradient step; by default the whole rollout."""
    learning_rate: float = 1e-2
    """Adam's learning rate of actor and critic."""
    anneal: Literal["none", "learning_rate", "both"] = "none"
    """Quantities annealed linearly to zero over the timestep budget: none, the learning rate, or both it and the clip
    range."""
    entropy_coefficient: float = 0.01
    """Coefficient of the entropy bonus (nats)."""
    hidden: tuple[int, ...] = (128, 128)
    """Hidden layer sizes (the last one is the width of a memory)."""
    initial_log_std: float = 0.1
    """Initial log standard deviation of continuous actions."""


class SubPOActorCritic(PPO):
    """SubPO with a critic: policy gradient on marginal gains with generalised advantage estimation.

        grad J = E[sum_i grad log pi(a_i|s_i) A_i],  A_i = GAE(gamma, lambda) of the marginal gains F(s_{i+1} |
            tau_{0:i})

    The environment's reward must be the marginal gain. One gradient step on a whole rollout is the plain policy
    gradient: the probability ratio is 1 there, so PPO's clipped objective and log pi(a|s) A have the same derivative.
    Source: Prajapat et al. (2024, arXiv 2307.13372, experiments on continuous control).

    Metrics:
        Those of `PPO`.
    """

    Config = SubPOActorCriticConfig
    config: SubPOActorCriticConfig


class ModPOActorCritic(SubPOActorCritic):
    """Modular baseline of SubPOActorCritic: the same update on the additive reward `info["modular_reward"]`.

        grad J = E[sum_i grad log pi(a_i|s_i) A_i],  A_i = GAE(gamma, lambda) of the modular rewards

    Source: Prajapat et al. (2024, arXiv 2307.13372).

    Metrics:
        Those of `PPO`.
    """

    reward_key = "modular_reward"
