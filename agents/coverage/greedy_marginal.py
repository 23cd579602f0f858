"""Greedy one-step lookahead on marginal gains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from envzoo.action_masks import NAME, check_mask
from envzoo.agents.agent import Agent, MaskedPredict, PredictArguments
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.wrappers.stateful import capturable


@dataclass(frozen=True)
class GreedyMarginalConfig:
    """Hyperparameters of GreedyMarginal."""

    ties: str = "random"
    """Selection among actions of equal reward: "random" or "first"."""

    def __post_init__(self):
        require(self.ties in ("random", "first"), f"ties of GreedyMarginal is 'random' or 'first', got {self.ties!r}")


class GreedyMarginal(MaskedPredict, Agent):
    """Greedy one-step lookahead: a_t = argmax_a r(s_t, a), found by trying every action and restoring the state.

    In a submodular environment the next reward is the marginal gain F(s' | tau_{0:t}), so this is the greedy rule,
    which is near-optimal for set selection; the guarantee does not extend to paths, where the rule can get trapped.
    Nothing is learned. The agent looks ahead in the environment given to `set_env` (evaluation calls it), which must
    support `get_state` and `set_state`; `predict` leaves its state unchanged. Source: the greedy baseline of Prajapat
    et al. (2024, arXiv 2307.13372).

    Metrics:
        There is no training.
    """

    Config = GreedyMarginalConfig
    config: GreedyMarginalConfig

    def __init__(self, source: Source, config: GreedyMarginalConfig, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        self.codec = ObservationCodec(source.observation_space)
        self.actions = ActionCodec(source.action_space, self.spec.name, self.spec.actions)
        self._env: Any = None
        if source.given is not None:
            self.set_env(source.given)

    def set_env(self, env: Any) -> None:
        """Set the environment for the lookahead: single or vector, also behind envzoo's wrappers.

        Raises:
            UnsupportedSpaceError: The environment does not support capturing its state.
        """
        self._env = capturable(env)
        if self._env is None:
            raise UnsupportedSpaceError(
                f"{self.spec.name} restores states after trying actions, but {env.unwrapped} cannot capture its state; "
                "expected an environment with get_state and set_state, as all of envzoo's have"
            )

    def _predict(self, observation: Any, asked: PredictArguments) -> tuple[Any, Any]:
        # The observation determines the batch size, and the allowed actions if it has an entry "action_mask".
        action_mask = asked.action_mask
        if self._env is None:
            raise EnvzooError(f"{self.spec.name} has no environment to look ahead in; call set_env(env) first")
        batched = self.codec.is_batched(observation)
        count = len(self.codec.pack(observation)) if batched else 1
        running = getattr(self._env, "num_envs", 1)
        if running != count:
            raise EnvzooError(
                f"{self.spec.name} was given {count} observations, but its environment runs {running} episodes; "
                "call set_env with the environment in which the agent acts"
            )
        if action_mask is None and isinstance(observation, dict):
            action_mask = observation.get(NAME)
        allowed = np.ones((count, self.actions.n), bool)
        if action_mask is not None:
            allowed = check_mask(np.asarray(action_mask).reshape(count, -1), count, self.actions.n)
            allowed |= ~allowed.any(axis=1, keepdims=True)
        rewards = self._look_ahead(count, allowed)
        if self.config.ties == "random":
            noise = self.streams.numpy("predict").random(rewards.shape)
            best = np.isclose(rewards, rewards.max(axis=0))
            action = np.where(best, noise, -1.0).argmax(axis=0)
        else:
            action = rewards.argmax(axis=0)
        action = self.actions.to_environment(action)
        return (action if batched else action[0]), asked.state

    def _look_ahead(self, count: int, allowed: np.ndarray) -> np.ndarray:
        """Compute the reward of each action in each episode, (A, count); -inf for actions that are not allowed."""
        env, captured = self._env, self._env.get_state()
        single = isinstance(env, gym.Env)
        rewards = np.empty((self.actions.n, count))
        for action in range(self.actions.n):
            tried = np.where(allowed[:, action], action, allowed.argmax(axis=1))
            chosen = self.actions.to_environment(tried)
            found = env.step(chosen[0] if single else chosen)[1]
            rewards[action] = np.where(allowed[:, action], found, -np.inf)
            env.set_state(captured)
        return rewards
