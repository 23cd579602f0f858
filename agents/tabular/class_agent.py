"""Base of the agents that look for the best policy of a class, and the episodes that they ask for (paper 36)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from envzoo.agents.agent import Agent
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.agents.state_holder import StateHolder
from envzoo.agents.tabular.class_values import Episodes
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.sizes import check_bytes
from envzoo.tabular.policy_class import find_problem

Choose = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class PolicyClassConfig:
    """Hyperparameters of agents that look for the best policy of a class."""

    num_envs: int = 64
    """Episodes side by side, all of one run."""

    def __post_init__(self):
        require(self.num_envs >= 1, f"num_envs is at least 1, got {self.num_envs}")


class PolicyClassAgent(Agent):
    """Base of agents that look for the best policy of a class, which the environment brings.

    Every request to the environment begins with a reset, with a seed of its own, so that a run can be resumed between
    any two of them. A subclass wraps the environment in the access mode that it needs, and refuses to do more.

    Attributes:
        problem: Layers, policies and covering laws of the world.
        table: (N, S) actions of all policies in all states.
    """

    Config = PolicyClassConfig
    config: PolicyClassConfig
    needs_core: ClassVar[bool] = False

    def __init__(self, source: Source, config: Any, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        space = source.observation_space
        if not isinstance(space, spaces.Discrete):
            raise UnsupportedSpaceError(f"{self.spec.name} takes Discrete observations, but the space is {space}")
        self.codec = ObservationCodec(space)
        self.action_codec = ActionCodec(source.action_space, self.spec.name, ("discrete",))
        self.states, self.actions, self._first = int(space.n), self.action_codec.n, int(space.start)
        env = source.training_env(config.num_envs)
        self.problem = find_problem(env)
        if len(self.problem.layer) != self.states:
            raise UnsupportedSpaceError(
                f"the policy class is over {len(self.problem.layer)} states, but the space is {space}"
            )
        if self.needs_core and self.problem.core is None:
            raise UnsupportedSpaceError(
                f"{self.spec.name} explores with the core of a class, and {source.name} brings a class without one"
            )
        self.horizon, self.size = self.problem.horizon, len(self.problem.policies)
        check_bytes(8 * self.size * self.states, f"the actions of {self.size} policies in {self.states} states")
        self.table = self.problem.table().astype(np.int16)
        if self.table.shape != (self.size, self.states) or not ((self.table >= 0) & (self.table < self.actions)).all():
            raise EnvzooError(
                f"the policy class has actions {self.table.shape} out of range; expected 0 to {self.actions - 1} for "
                f"{self.size} policies and {self.states} states"
            )
        self.num_envs = env.num_envs
        self.env = self.wrap(env)
        self.policy = self.register("policy", StateHolder(requests=0, **self.tables()))
        self._finished: list[float] = []

    def wrap(self, env: Any) -> Any:
        """Return the vector environment in the access mode of the algorithm."""
        raise NotImplementedError

    def tables(self) -> dict[str, Any]:
        """Return the values that the algorithm keeps."""
        raise NotImplementedError

    def act_in(self, states: np.ndarray, deterministic: bool) -> np.ndarray:
        """Choose actions (B,) in states (B,) by the policy found up to now."""
        raise NotImplementedError

    # ------------------------------------------------------------------ requests

    def begin(self, options: dict[str, Any] | None = None) -> np.ndarray:
        """Reset all episodes with a new seed; returns the states (num_envs,)."""
        generator = np.random.default_rng([self.streams.integer("requests"), self.policy.requests])
        self.policy.requests += 1
        observation, _ = self.env.reset(seed=int(generator.integers(2**31)), options=options)
        return np.asarray(observation, np.int64) - self._first

    def roll(self, choose: Choose, options: dict[str, Any] | None = None, first: np.ndarray | None = None) -> Episodes:
        """Play an episode in every environment, whose steps count as timesteps.

        Args:
            choose: Returns actions (num_envs,) for states (num_envs,) and the number of steps taken.
            options: Reset options.
            first: (num_envs,) the layers in which the episodes begin; None for 0.
        """
        states = self.begin(options)
        count, rows = self.num_envs, np.arange(self.num_envs)
        time = np.zeros(count, np.int64) if first is None else np.array(first, np.int64)
        found = Episodes(
            np.zeros((count, self.horizon), np.int32),
            np.zeros((count, self.horizon), np.int16),
            np.zeros((count, self.horizon)),
            time.copy(),
            time.copy(),
        )
        alive = np.ones(count, np.bool_)
        for step in range(self.horizon):
            alive &= found.end < self.horizon
            if not alive.any():
                break
            chosen = np.where(alive, choose(states, step), 0)
            at = (rows[alive], found.end[alive])
            found.states[at], found.actions[at] = states[alive], chosen[alive]
            observation, reward, terminated, truncated, _ = self.env.step(self.action_codec.to_environment(chosen))
            found.rewards[at] = reward[alive]
            found.end[alive] += 1
            self.num_timesteps += int(alive.sum())
            alive &= ~(terminated | truncated)
            states = np.asarray(observation, np.int64) - self._first
        self._finished += found.rewards.sum(axis=1).tolist()
        return found

    def sample(self, states: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ask for one transition of every pair (m,) of state and action, num_envs at a time.

        Returns:
            Next states (m,), of episodes that go on; rewards (m,) and whether the episode ended, bool (m,).
        """
        count = len(states)
        following, rewards, done = np.zeros(count, np.int64), np.zeros(count), np.zeros(count, np.bool_)
        for low in range(0, count, self.num_envs):
            part = np.arange(low, min(low + self.num_envs, count))
            padded = np.resize(part, self.num_envs)
            self.begin({"state": states[padded] + self._first})
            given = self.action_codec.to_environment(actions[padded])
            observation, reward, terminated, truncated, _ = self.env.step(given)
            following[part] = np.asarray(observation, np.int64)[: len(part)] - self._first
            rewards[part], done[part] = reward[: len(part)], (terminated | truncated)[: len(part)]
            self.num_timesteps += len(part)
        return following, rewards, done

    def pop_metrics(self) -> dict[str, float]:
        """Return statistics of the episodes since the last call."""
        finished, self._finished = self._finished, []
        return {"rollout/return_mean": float(np.mean(finished)), "rollout/episodes": len(finished)} if finished else {}

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Choose the actions of the best policy found up to now; there is no state."""
        batched = self.codec.is_batched(observation)
        rows = self.codec.pack(observation) if batched else self.codec.pack_one(observation)[None]
        states = rows[:, 0].astype(np.int64) - self._first
        if not ((states >= 0) & (states < self.states)).all():
            raise EnvzooError(f"the observation is out of range; expected {self.source.observation_space}")
        chosen = self.act_in(states, deterministic)
        action = self.action_codec.to_environment(chosen).astype(self.source.action_space.dtype)
        return (action if batched else action[0]), state
