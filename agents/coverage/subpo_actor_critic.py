"""SubPO with an actor-critic, for continuous control (Prajapat et al., ICLR 2024, arXiv 2307.13372, experiments)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envzoo.agents.actor_critic.ppo import PPO, PPOConfig


@dataclass(frozen=True)
class SubPOActorCriticConfig(PPOConfig):
    """Hyperparameters of SubPOActorCritic; defaults are those of the paper's continuous tasks."""

    num_envs: int = 15
    """Environments stepped side by side."""
    num_steps: int = 400
    """Steps per environment and rollout."""
    num_epochs: int = 1
    """Passes over a rollout; with one, and the whole rollout as its minibatch, nothing is clipped."""
    minibatch_size: int = 1_000_000
    """Transitions per gradient step, by default the whole rollout."""
    learning_rate: float = 1e-2
    """Adam's learning rate, of actor and critic."""
    anneal: Literal["none", "learning_rate", "both"] = "none"
    """What falls linearly to zero over the budget: nothing, the learning rate, or it and the clip range."""
    entropy_coefficient: float = 0.01
    """Weight of the entropy bonus in nats."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the hidden layers (the last one is the width of the GRU)."""
    initial_log_std: float = 0.1
    """First log standard deviation of continuous actions."""


class SubPOActorCritic(PPO):
    """Policy gradient on marginal gains with generalised advantages from a critic.

    One gradient step on a whole rollout is the plain policy gradient: there the probability ratio is 1, so the clipped
    objective of PPO and log pi(a|s) A have the same derivative. The environment's reward is the marginal gain.
    """

    Config = SubPOActorCriticConfig
    config: SubPOActorCriticConfig


class ModPOActorCritic(SubPOActorCritic):
    """SubPOActorCritic on the additive reward `info["modular_reward"]`: its modular baseline."""

    reward_key = "modular_reward"
