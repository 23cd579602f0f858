"""Single-agent views of coding games."""

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
    """Return the definition of a coding game for any form of source.

    Raises:
        UnsupportedSpaceError: The source is not a coding game.
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
            f"{agent} requires a coding game such as envzoo/CodingGrid-v0, but {source.name} is not a coding game"
        )
    return definition


def _inner(env: Any) -> Definition | None:
    """Return the definition of a kernel environment behind wrappers of Gymnasium and PettingZoo."""
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


MOVE = 0  # column of the sender's move in joint actions


class PlayerView(VectorEnv):
    """Vector environment of a two-player game as seen by one player, with the other player as part of the environment.

    Args:
        env: A vector environment with Dict observations and MultiDiscrete actions.
        keys: Observation keys that the player sees.
        column: Column of the player's action.
        others: Observation keys that the other player sees.

    Attributes:
        partner: Agent that plays the other player, with sampled actions; must be set before the first step.
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
        """Reset all episodes."""
        observation, infos = self.env.reset(seed=seed, options=options)
        self._observation, self._memory, self._start = observation, None, np.ones(self.num_envs, bool)
        return self._see(observation), self._own(infos)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step both players."""
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
        """Keep the mask of the sender's moves for the sender, and remove it from the receiver's infos."""
        if self.column == MOVE:
            return infos
        self._mask = current_mask(infos)
        return _without_masks(infos)

    def _see(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {key: observation[key] for key in self.keys}

    @property
    def final_observation(self) -> dict[str, np.ndarray]:
        """Return final observations where episodes ended in the latest step, and current ones elsewhere."""
        return self._see(self.env.final_observation)

    def get_state(self) -> dict[str, np.ndarray]:
        """Return copies of everything that determines the rest of the episodes."""
        state = {f"env/{name}": array for name, array in self.env.get_state().items()}
        if self._memory is not None:
            state["memory"] = self._memory.cpu().numpy().copy()
        if self._mask is not None:
            state["mask"] = self._mask.copy()
        return state | {"start": self._start.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore a state that `get_state` returned."""
        inner = {name.removeprefix("env/"): array for name, array in state.items() if name.startswith("env/")}
        self.env.set_state(inner)
        self._observation = self.env.observation()
        self._memory = torch.from_numpy(np.array(state["memory"])) if "memory" in state else None
        # Files of the first release hold no mask; the sender's first move is unrestricted then.
        self._mask = np.array(state["mask"], bool) if "mask" in state else None
        self._start = np.array(state["start"], bool)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the game."""
        self.env.close()


class MessageBlind(VectorEnv):
    """Vector environment of a game for an agent that neither observes nor encodes the message.

    It provides no action masks: sender and receiver compute the carrier's distribution from its network and the state
    alone, so the network itself must learn which moves are useless.

    Args:
        env: Vector environment of a single sender.
    """

    def __init__(self, env: VectorEnv):
        self.env = env
        self.num_envs, self.metadata, self.spec = env.num_envs, env.metadata, env.spec
        self.single_observation_space = env.single_observation_space["state"]
        self.single_action_space, self.action_space = env.single_action_space, env.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Reset all episodes."""
        observation, infos = self.env.reset(seed=seed, options=options)
        return observation["state"], _without_masks(infos)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step all episodes."""
        observation, *rest, infos = self.env.step(actions)
        return observation["state"], *rest, _without_masks(infos)

    @property
    def final_observation(self) -> np.ndarray:
        """Return final states where episodes ended in the latest step, and current ones elsewhere."""
        return self.env.final_observation["state"]

    def get_state(self) -> dict[str, np.ndarray]:
        """Return the state of the game."""
        return self.env.get_state()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore a state of the game."""
        self.env.set_state(state)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the game."""
        self.env.close()
