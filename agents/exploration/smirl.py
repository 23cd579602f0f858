"""Surprise-minimising reinforcement learning (Berseth et al., 2019, arXiv 1912.05510)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envzoo.agents.actor_critic.ppo import PPO
from envzoo.agents.exploration.without_rewards import WithoutRewardsConfig
from envzoo.wrappers.return_normalizer import VectorReturnNormalizer
from envzoo.wrappers.surprise_reward import VectorSurpriseReward
from envzoo.wrappers.time_in_observation import VectorTimeInObservation


@dataclass(frozen=True)
class SMiRLConfig(WithoutRewardsConfig):
    """Hyperparameters of SMiRL."""

    density: str = "auto"
    """Density model of observations: auto, categorical, bernoulli or gaussian."""
    clip_reward: float = 300.0
    """Rewards are clipped to plus and minus this many nats, before they are normalised."""
    horizon: int | None = None
    """Steps of an episode, for the clock in the observation; None takes the environment's time limit."""


class SMiRL(PPO):
    """PPO paid log p(o) for every observation, p fitted to the episode so far; the environment's reward is not used.

    The policy sees the parameters of p and how many observations they rest on, the clock.
    """

    Config = SMiRLConfig
    config: SMiRLConfig

    def wrappers(self) -> list[tuple[type, dict[str, Any]]]:
        """The surprise as reward, normalised, with clock and density in the observation."""
        c = self.config
        clock = {} if c.horizon is None else {"horizon": c.horizon}
        return [
            (VectorSurpriseReward, {"density": c.density, "clip": c.clip_reward}),
            (VectorTimeInObservation, clock),
            (VectorReturnNormalizer, {"gamma": c.gamma}),
        ]
