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
    """Bound on the absolute reward in nats, applied before normalisation."""
    horizon: int | None = None
    """Episode length by which the time feature of the observation is scaled; None uses the environment's time limit."""


class SMiRL(PPO):
    """PPO with the surprise-minimising reward r = log p_theta(o).

    The density p_theta is fitted to the observations of the episode so far, and theta and the number of observations
    are appended to the policy's observation. The environment's reward is not used. Source: Berseth et al. (2019, arXiv
    1912.05510).

    Metrics:
        Those of `PPO`.
    """

    Config = SMiRLConfig
    config: SMiRLConfig

    def wrappers(self) -> list[tuple[type, dict[str, Any]]]:
        """Return the wrappers: surprise reward, time and density features of the observation, normalised rewards."""
        c = self.config
        clock = {} if c.horizon is None else {"horizon": c.horizon}
        return [
            (VectorSurpriseReward, {"density": c.density, "clip": c.clip_reward}),
            (VectorTimeInObservation, clock),
            (VectorReturnNormalizer, {"gamma": c.gamma}),
        ]
