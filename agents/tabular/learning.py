"""Base of the tabular agents: many independent runs side by side, each with its own tables."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from envzoo.agents.agent import Agent
from envzoo.agents.loops.experience import Experience, Step
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.agents.state_holder import StateHolder
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.sizes import check_bytes

OBSERVATIONS = "Discrete"


@dataclass(frozen=True)
class TabularConfig:
    """Hyperparameters of all tabular agents."""

    num_envs: int = 1
    """Independent runs side by side: each environment has tables of its own, so that one agent is many seeds."""
    steps_per_iteration: int = 200
    """Steps of every run between two rows of metrics."""

    def __post_init__(self):
        require(self.num_envs >= 1, f"num_envs is at least 1, got {self.num_envs}")
        require(self.steps_per_iteration >= 1, f"steps_per_iteration is at least 1, got {self.steps_per_iteration}")


class TabularAgent(Agent):
    """Base of the agents with tables over Discrete observations and actions.

    A subclass returns its tables in `tables`, chooses actions in `act` and learns in `learn_step`. In `predict`, row b
    of a batch is played with the tables of run b modulo their number.

    Attributes:
        policy: The tables, arrays whose first dimension is the run.
        states: Number of observations, S.
        actions: Number of actions, A.
        time: (R,) int64, steps taken in the running episodes.
    """

    Config = TabularConfig
    config: TabularConfig
    experience_class: ClassVar[type[Experience]] = Experience
    bytes_per_pair = 64  # of tables for each run, observation and action, for the check of memory

    def __init__(self, source: Source, config: Any, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        space = source.observation_space
        if not isinstance(space, spaces.Discrete):
            raise UnsupportedSpaceError(f"{self.spec.name} takes Discrete observations, but the space is {space}")
        self.codec = ObservationCodec(space)
        self.action_codec = ActionCodec(source.action_space, self.spec.name, ("discrete",))
        self.states, self.actions, self._first = int(space.n), self.action_codec.n, int(space.start)
        size = config.num_envs * self.states * self.actions
        check_bytes(size * self.bytes_per_pair, f"the tables of {config.num_envs} runs of {self.spec.name}")
        env = source.training_env(config.num_envs)
        self.num_runs = env.num_envs
        self.prepare(env)
        self.policy = self.register("policy", StateHolder(**self.tables(self.num_runs)))
        self.time = np.zeros(self.num_runs, np.int64)
        self.clock = self.register("clock", StateHolder(time=self.time))
        seed = self.streams.integer("environment")
        self.experience = self.experience_class(env, self.codec, self.action_codec, seed, notices=self.notices)
        if self.experience.mask_dim:
            raise UnsupportedSpaceError(
                f"{self.spec.name} takes worlds in which every action is always available, but {source.name} gives "
                "masks of actions"
            )
        self.register("experience", self.experience)

    def prepare(self, env: Any) -> None:
        """Read what the algorithm has to know of the environment before its tables are made."""

    @abstractmethod
    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return the arrays that the algorithm keeps, the first dimension of each being the run."""

    @abstractmethod
    def act(self, states: np.ndarray) -> np.ndarray:
        """Choose an action (R,) for the states (R,) of all runs."""

    @abstractmethod
    def learn_step(self, states: np.ndarray, chosen: np.ndarray, step: Step, following: np.ndarray) -> None:
        """Learn from one step of all runs; those with `step.valid` False only reset their environment."""

    @abstractmethod
    def choose(self, states: np.ndarray, runs: np.ndarray, time: np.ndarray, deterministic: bool) -> np.ndarray:
        """Choose actions (B,) for `predict`, with the tables of `runs` (B,) at steps `time` (B,) of the episodes."""

    def iterate(self) -> dict[str, float]:
        """Take some steps in every run."""
        left = -(-(self.target_timesteps - self.num_timesteps) // self.num_runs)
        steps = min(self.config.steps_per_iteration, max(left, 1))
        e = self.experience
        for _ in range(steps):
            self.time[e.start] = 0
            states = e.observation[:, 0].astype(np.int64) - self._first
            chosen = self.act(states)
            step = e.step(chosen)
            following = step.next_observation[:, 0].astype(np.int64) - self._first
            self.learn_step(states, chosen, step, following)
            self.time += step.valid
        self.num_timesteps += steps * self.num_runs
        return e.pop_metrics() | self.metrics()

    def metrics(self) -> dict[str, float]:
        """More metrics of the algorithm."""
        return {}

    def read_states(self, observation: Any) -> tuple[bool, np.ndarray]:
        """Return whether observations are a batch, and the states (B,) that they show, from 0.

        Raises:
            EnvzooError: They are not of the space.
        """
        batched = self.codec.is_batched(observation)
        rows = self.codec.pack(observation) if batched else self.codec.pack_one(observation)[None]
        states = rows[:, 0].astype(np.int64) - self._first
        if not ((states >= 0) & (states < self.states)).all():
            raise EnvzooError(f"the observation is out of range; expected {self.source.observation_space}")
        return batched, states

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Choose actions; `state` is the number of steps taken in each episode."""
        batched, states = self.read_states(observation)
        time = np.zeros(len(states), np.int64) if state is None else np.array(state, np.int64)
        if episode_start is not None:
            time[np.asarray(episode_start, bool)] = 0
        chosen = self.choose(states, np.arange(len(states)) % self.num_runs, time, deterministic)
        action = self.action_codec.to_environment(chosen).astype(self.source.action_space.dtype)
        return (action if batched else action[0]), time + 1


def first_env(env: Any) -> Any:
    """Return the unwrapped environment, of Gymnasium's vector environments the first copy."""
    base = env.unwrapped
    copies = getattr(base, "envs", ())
    return copies[0].unwrapped if copies else base


def read_losses(rewards: np.ndarray, name: str) -> np.ndarray:
    """Return losses (n,) in [0, 1], minus the rewards; raises EnvzooError for others."""
    loss = -rewards.astype(np.float64)
    if loss.size and not ((loss >= 0) & (loss <= 1)).all():
        worst = loss[np.abs(loss - 0.5).argmax()]
        raise EnvzooError(f"a step cost {worst:g}; {name} expects losses from 0 to 1, as minus the reward")
    return loss + 0.0  # no negative zeros


def pick_best(values: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
    """Choose the largest of values (B, A): a uniform one of those that tie, or without generator the first."""
    ties = values == values.max(axis=1, keepdims=True)
    if generator is None:
        return ties.argmax(axis=1)
    return np.where(ties, generator.random(values.shape), -1.0).argmax(axis=1)
