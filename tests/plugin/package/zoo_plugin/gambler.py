"""An agent that changes PPO a little, and that can be killed at a chosen iteration."""

import os
import signal
from dataclasses import dataclass

from envzoo.agents.actor_critic.ppo import PPO, PPOConfig


@dataclass(frozen=True)
class GamblerConfig(PPOConfig):
    """Hyperparameters."""

    gamma: float = 0.5
    """Discount."""


class Gambler(PPO):
    """PPO with a discount of its own."""

    Config = GamblerConfig

    def iterate(self) -> dict[str, float]:
        """Learn as PPO does, unless the test wants this process killed now."""
        if os.environ.get("ZOO_PLUGIN_DIE_AT") == str(self.iteration):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().iterate()
