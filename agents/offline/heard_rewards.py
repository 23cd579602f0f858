"""How agents that condition on rewards learn of them while acting, since `predict` is not told."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from envzoo.errors import EnvzooError


class RewardListener:
    """Takes the place of an environment's `step`, and remembers the rewards of its last call.

    Args:
        env: A single or vector environment.

    Attributes:
        steps: Number of calls so far.
        rewards: (B,) float32, those of the last call.
        ended: (B,) bool, whether the last call ended the episode.
        resets_later: Whether the environment resets an ended episode by a further step, which is not a step of one.
    """

    def __init__(self, env: Any):
        self._step = env.step
        self.steps = 0
        self.rewards: np.ndarray | None = None
        self.ended: np.ndarray | None = None
        self.resets_later = env.metadata.get("autoreset_mode") == AutoresetMode.NEXT_STEP

    def __call__(self, action: Any) -> Any:
        """Step the environment."""
        result = self._step(action)
        self.rewards = np.array(result[1], np.float32).reshape(-1)
        self.ended = np.array(result[2], bool).reshape(-1) | np.array(result[3], bool).reshape(-1)
        self.steps += 1
        return result


def listen(env: Any) -> RewardListener | None:
    """Listen to the rewards of an environment from now on; the environment behaves as before.

    Returns:
        The listener, the same one at every call; None for what has no `step`.
    """
    if not callable(getattr(env, "step", None)):
        return None
    present = vars(env).get("step")
    if not isinstance(present, RewardListener):
        present = env.step = RewardListener(env)
    return present


def not_told(agent: str) -> EnvzooError:
    """Return the error for a second action without the rewards of the first."""
    return EnvzooError(
        f"{agent} was not told the rewards of its last actions: call agent.set_env(env) before the first step in env, "
        "or state = agent.observe_rewards(state, rewards, done) after every step"
    )
