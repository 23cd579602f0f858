"""A resolved source: what a learner learns from, and how to make more of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from envzoo.agents.sources.specification import recorded_in
from envzoo.agents.sources.vector import make_vector_env, vector_of
from envzoo.errors import EnvzooError
from envzoo.games import make_game


@dataclass
class Source:
    """A resolved source.

    Attributes:
        kind: "environment", "game", "dataset", "pairs" or "preferences".
        name: Id, or the class name of an object; for people.
        id: Id from which an equal source can be made again, else None. Games have ids too (see `envzoo.games`).
        observation_space: Space of one environment (games: dict by player; pairs: of one observation), or None where
            the data has no space.
        action_space: Likewise; None where nobody acts.
        env_kwargs: Keywords of the environment when it is made from `id`.
        given: The object that was given, if it was one: an environment, a game or data.
        factory: The function that was given, if it was one; it makes an environment.
        recorded: The dataset that `given` was read from, if it was converted; agents are evaluated in its environment.
    """

    kind: str
    name: str
    id: str | None
    observation_space: Any
    action_space: Any
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    given: Any = None
    factory: Callable[[], gym.Env] | None = None
    recorded: Any = None

    def training_env(self, num_envs: int) -> VectorEnv:
        """Return a vector environment to learn on: the given one, or `num_envs` fresh copies."""
        if isinstance(self.given, VectorEnv):
            return self.given
        if isinstance(self.given, gym.Env):
            return SyncVectorEnv([lambda: self.given], autoreset_mode=AutoresetMode.SAME_STEP)
        if self.factory is not None:
            return vector_of(self.factory, num_envs, self.name)
        return make_vector_env(self.id, num_envs, self.env_kwargs)

    def environment(self) -> tuple[str, dict[str, Any]]:
        """Return id and keywords of the environment: the source itself, or the one a dataset was collected in.

        Raises:
            EnvzooError: The source is an object without a registered id, which cannot be copied, or a dataset whose
                environment is not known here.
        """
        if self.kind == "dataset" or self.recorded is not None:
            return recorded_in(self.given if self.recorded is None else self.recorded)
        if self.kind != "environment" or self.id is None:
            raise EnvzooError(f"{self.name} has no registered id to make copies from; give an evaluation environment")
        return self.id, self.env_kwargs

    def single_env(self) -> gym.Env:
        """Make one fresh environment; raises EnvzooError as `environment` does."""
        if self.factory is not None:
            return self.factory()
        env_id, env_kwargs = self.environment()
        return gym.make(env_id, disable_env_checker=True, **env_kwargs)

    def evaluation_game(self) -> Any:
        """Make a fresh copy of the game, a `pettingzoo.ParallelEnv`.

        Raises:
            EnvzooError: The source is no game with a registered id.
        """
        if self.kind != "game" or self.id is None:
            raise EnvzooError(f"{self.name} is no registered game to make a copy of; give a game to evaluate in")
        return make_game(self.id, **self.env_kwargs)

    def evaluation_env(self, num_envs: int) -> VectorEnv:
        """Make fresh copies for evaluation; raises EnvzooError as `environment` does."""
        if self.factory is not None:
            return vector_of(self.factory, num_envs, self.name)
        env_id, env_kwargs = self.environment()
        return make_vector_env(env_id, num_envs, env_kwargs)
