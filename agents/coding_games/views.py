"""Coding games as single learners see them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from envzoo.action_masks import NAME, current_mask, takes_mask
from envzoo.agents.agent import Agent
from envzoo.agents.source import Source
from envzoo.errors import UnsupportedSpaceError
from envzoo.kernel import Definition


def find_definition(source: Source, agent: str) -> Definition:
    """The definition of a coding game, whatever form the source has.

    Raises:
        UnsupportedSpaceError: The source is no coding game.
    """
    if source.given is not None:
        env, own = source.given, False
    else:
        env, own = (source.evaluation_game() if source.kind == "game" else source.evaluation_env(1)), True
    definition = _inner(env)
    if own:
        env.close()
    if definition is None or not hasattr(definition, "rules"):
        raise UnsupportedSpaceError(
            f"{agent} plays coding games, in which a message is to be told, but {source.name} is none; "
            "envzoo/CodingGrid-v0 is one"
        )
    return definition


def _inner(env: Any) -> Definition | None:
    """The definition of a kernel environment, behind wrappers of Gymnasium and PettingZoo."""
    while env is not None:
        if isinstance(getattr(env, "definition", None), Definition):
            return env.definition
        envs = getattr(env, "envs", None)
        env = envs[0] if envs else getattr(env, "env", None)
    return None


def _without_masks(infos: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in infos.items() if key not in (NAME, f"_{NAME}")}
    if "final_info" in found:
        found["final_info"] = _without_masks(found["final_info"])
    return found


MOVE = 0  # column of the sender's moves in the actions of both players


class PlayerView(VectorEnv):
    """The vector face of a game for two players as one of them sees it, the other being part of the world.

    Args:
        env: A vector environment with Dict observations and MultiDiscrete actions.
        keys: The observations that the player sees.
        column: Which action is the player's.
        others: Likewise what the other one sees.

    Attributes:
        partner: Who takes the other action; to be set before the first step. Its actions are samples.
    """

    def __init__(self, env: VectorEnv, keys: tuple[str, ...], column: int, others: tuple[str, ...]):
        self.env, self.keys, self.column, self.others = env, keys, column, others
        self.num_envs, self.metadata, self.spec = env.num_envs, env.metadata, env.spec
        self.single_observation_space = spaces.Dict({key: env.single_observation_space[key] for key in keys})
        self.single_action_space = spaces.Discrete(int(env.single_action_space.nvec[column]))
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.partner: Agent | None = None
        self._memory: Any = None
        self._mask: np.ndarray | None = None
        self._start = np.ones(self.num_envs, bool)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start all episodes."""
        observation, infos = self.env.reset(seed=seed, options=options)
        self._observation, self._memory, self._start = observation, None, np.ones(self.num_envs, bool)
        return self._see(observation), self._own(infos)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of both players."""
        seen = {key: self._observation[key] for key in self.others}
        masked = self._mask is not None and takes_mask(self.partner.predict)
        keywords = {"action_mask": self._mask} if masked else {}
        answer, self._memory = self.partner.predict(seen, self._memory, self._start, deterministic=False, **keywords)
        pair = np.empty((self.num_envs, 2), np.int64)
        pair[:, self.column], pair[:, 1 - self.column] = actions, answer
        observation, reward, terminated, truncated, infos = self.env.step(pair)
        self._observation, self._start = observation, terminated | truncated
        return self._see(observation), reward, terminated, truncated, self._own(infos)

    def _own(self, infos: dict[str, Any]) -> dict[str, Any]:
        """Keep the mask of the sender's moves for the sender: from the receiver's infos it is taken out."""
        if self.column == MOVE:
            return infos
        self._mask = current_mask(infos)
        return _without_masks(infos)

    def _see(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {key: observation[key] for key in self.keys}

    @property
    def final_observation(self) -> dict[str, np.ndarray]:
        """What the player saw last in episodes that the latest step ended, elsewhere the current observations."""
        return self._see(self.env.final_observation)

    def get_state(self) -> dict[str, np.ndarray]:
        """Copies of all that decides how the episodes go on."""
        state = {f"env/{name}": array for name, array in self.env.get_state().items()}
        if self._memory is not None:
            state["memory"] = self._memory.cpu().numpy().copy()
        if self._mask is not None:
            state["mask"] = self._mask.copy()
        return state | {"start": self._start.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` gave."""
        inner = {name.removeprefix("env/"): array for name, array in state.items() if name.startswith("env/")}
        self.env.set_state(inner)
        self._observation = self.env.observation()
        self._memory = torch.from_numpy(np.array(state["memory"])) if "memory" in state else None
        # A file of the first release holds no mask; the sender's first move is free then.
        self._mask = np.array(state["mask"], bool) if "mask" in state else None
        self._start = np.array(state["start"], bool)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the game."""
        self.env.close()


class MessageBlind(VectorEnv):
    """The vector face of a game as an agent sees it that neither knows the message nor has to tell it.

    It gives no masks: sender and receiver read the carrier's distribution from its network and the state alone, so the
    network itself has to learn which moves are of no use.

    Args:
        env: The face of a lone sender.
    """

    def __init__(self, env: VectorEnv):
        self.env = env
        self.num_envs, self.metadata, self.spec = env.num_envs, env.metadata, env.spec
        self.single_observation_space = env.single_observation_space["state"]
        self.single_action_space, self.action_space = env.single_action_space, env.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Start all episodes."""
        observation, infos = self.env.reset(seed=seed, options=options)
        return observation["state"], _without_masks(infos)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every episode."""
        observation, *rest, infos = self.env.step(actions)
        return observation["state"], *rest, _without_masks(infos)

    @property
    def final_observation(self) -> np.ndarray:
        """The last states of episodes that the latest step ended, elsewhere the current ones."""
        return self.env.final_observation["state"]

    def get_state(self) -> dict[str, np.ndarray]:
        """As the game's."""
        return self.env.get_state()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """As the game's."""
        self.env.set_state(state)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the game."""
        self.env.close()
