"""Base class of the bandit planners, which read the instance from the environment and convert pulls to actions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.agents import guard
from envzoo.agents.agent import Agent
from envzoo.agents.source import Source
from envzoo.bandits.model import BanditModel
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.kernel.stream import keys
from envzoo.sizes import check_bytes
from envzoo.tabular import HasModel

MOST_VARIABLES, MOST_SIMULATED = 20_000, 50_000_000  # limits while a file is loaded, about one second of work


def model_of(env: Any) -> BanditModel | None:
    """Return the bandit instance of an environment (single or vector, wrapped or not), or None if it is not a bandit.

    Raises:
        EnvzooError: The copies of a vector environment have different instances.
    """
    base = env.unwrapped
    if isinstance(base, HasModel):
        model = base.model() if callable(base.model) else base.model
        if isinstance(model, BanditModel):
            return model
    models = [model_of(copy) for copy in getattr(base, "envs", ())]
    if not models or models[0] is None:
        return None
    if any(not same_model(models[0], other) for other in models[1:]):
        raise EnvzooError("the copies of the environment play different bandits; expected one instance for all")
    return models[0]


def same_model(one: BanditModel | None, other: BanditModel | None) -> bool:
    """Return whether two instances are the same problem."""
    if one is None or other is None:
        return one is other
    numbers = (one.satiation, one.pulls_per_round) == (other.satiation, other.pulls_per_round)
    return numbers and np.array_equal(one.payoffs, other.payoffs)


class BanditPlanner(Agent):
    """Base class of agents that know the bandit instance; subclasses implement `plan` and `choose`.

    The plan is computed for the source, and again whenever `set_env` is given another instance (evaluation calls it).
    The state of an episode (virtual states, phases) is part of the `state` of `predict`.

    Metrics:
        Those of the plan, named `plan/...`; see the subclass.

    Attributes:
        model: The instance of the present plan.
    """

    def __init__(self, source: Source, config: Any, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        self.model: BanditModel | None = None
        if source.given is not None:
            self.set_env(source.given)
        else:
            env = source.single_env()
            self.set_env(env)
            env.close()
        if not isinstance(source.observation_space, spaces.MultiDiscrete):
            raise UnsupportedSpaceError(
                f"{self.spec.name} reads the states of the arms, but the observation space is "
                f"{source.observation_space}; expected the bandit without wrappers that change observations"
            )

    def set_env(self, env: Any) -> None:
        """Plan for the instance of this environment, unless the present plan is for the same instance.

        Raises:
            UnsupportedSpaceError: The environment is not a bandit with a model.
        """
        model = model_of(env)
        if model is None:
            raise UnsupportedSpaceError(
                f"{self.spec.name} plans with the model of a bandit, which {env.unwrapped} does not have; expected "
                "envzoo/LSDBandit-v0, envzoo/RechargingBandit-v0, or another environment with one"
            )
        if not same_model(model, self.model):
            guard.check_work(model.arms * model.num_states, MOST_VARIABLES, "a plan")
            draws, rounds = (getattr(self.config, name, 1) for name in ("draws", "planning_rounds"))
            runs = draws + getattr(self.config, "prices", 0)
            guard.check_work(runs * rounds * model.arms, MOST_SIMULATED, "a simulation of plans")
            check_bytes(64 * runs * model.arms, f"a simulation of {runs} plans")
            self.plan(model)
            self.model = model

    @abstractmethod
    def plan(self, model: BanditModel) -> None:
        """Compute the plan for an instance."""

    @abstractmethod
    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """Choose the arms to pull.

        Args:
            columns: (B, arms) int64, the columns of the arms' states.
            memory: Arrays (B, ...) to be changed in place; initially empty except for "streams", (B, 2) uint64 random
                streams, one per episode, which are the same in every deterministic evaluation.
            start: (B,) bool, rows at the start of an episode.

        Returns:
            (B, arms) bool.
        """

    def planned(self) -> dict[str, float]:
        """Return the metrics of the plan."""
        return {}

    def iterate(self) -> dict[str, float]:
        """Return the metrics of the plan, which already exists, and use up the timestep budget."""
        self.num_timesteps = self.target_timesteps
        return self.planned()

    def predict(
        self,
        observation: Any,
        state: dict[str, np.ndarray] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[Any, dict[str, np.ndarray]]:
        """Choose the planned actions; see `Agent.predict`.

        With `deterministic` all random numbers descend from the seed.

        Raises:
            EnvzooError: The observations have another number of arms than the plan, or the state has another batch
                size.
        """
        given = np.asarray(observation)
        if given.dtype.kind not in "iu" or not given.size:
            raise EnvzooError(
                f"the observation is {given.dtype} of shape {given.shape}; expected integers, at least one row of them"
            )
        columns = np.ascontiguousarray(np.atleast_2d(given), np.int64)
        count, arms = len(columns), self.model.arms
        if given.ndim not in (1, 2) or columns.shape[1] != arms:
            raise EnvzooError(f"the observation has the shape {given.shape}; expected {arms} arms, or a batch of them")
        if columns.size and not (0 <= columns.min() <= columns.max() < self.model.num_states):
            raise EnvzooError(f"observations must be columns from 0 to {self.model.num_states - 1}")
        if state is None:
            memory, start = {"streams": self._streams(count, deterministic)}, np.ones(count, bool)
        else:
            memory = {name: array.copy() for name, array in state.items()}
            start = np.zeros(count, bool) if episode_start is None else np.array(episode_start, bool).reshape(-1)
            if any(len(array) != count for array in (*memory.values(), start)):
                raise EnvzooError(f"{count} observations were given with the state of a different number of episodes")
        pulls = self.choose(columns, memory, start)
        action = self._to_actions(pulls)
        return (action if given.ndim == 2 else action[0]), memory

    def _streams(self, count: int, deterministic: bool) -> np.ndarray:
        streams = np.zeros((count, 2), np.uint64)
        if deterministic:
            seeds = self.streams.sequence("episodes").generate_state(count, np.uint64)
        else:
            seeds = self.streams.numpy("predict").integers(2**64, size=count, dtype=np.uint64)
        streams[:, 0] = keys(seeds)
        return streams

    def _to_actions(self, pulls: np.ndarray) -> np.ndarray:
        space = self.source.action_space
        if isinstance(space, spaces.Discrete):
            return np.where(pulls.any(axis=1), pulls.argmax(axis=1), pulls.shape[1])
        return pulls.astype(space.dtype)
