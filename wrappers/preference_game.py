"""PreferenceGame: a preference function as a game of two players, each with an environment of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_seed
from envzoo.preference.preferences import Preference, Trajectories
from envzoo.wrappers.preference import find_preference, make_preference

PLAYERS = ("player_0", "player_1")
SIMPLE = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class PreferenceGame(ParallelEnv):
    """Symmetric zero-sum game over trajectories: each of two players acts in its own copy of an environment.

    When both episodes have ended, the players receive P(xi_0, xi_1) and P(xi_1, xi_0) = -P(xi_0, xi_1), where
    P = 2 (probability of winning) - 1 is the preference between their episodes; before, all rewards are 0. A player
    whose episode has ended sees its last observation until the other one's has, and its actions are ignored. The game
    terminates if both episodes terminated, and is truncated otherwise. Its minimax winner is that of the preference
    (Swamy et al. 2024, arXiv 2401.04056), so that any method for games can be compared with `SPO`.

    Args:
        make_env: Id of an environment, or a function without arguments that makes one; the two copies are seeded with
            `seed` and `seed + 1`.
        preference: "environment" (the environment's own preference function, see `PreferenceWrapper`), "max" or
            "noisy" between the returns, or a `Preference`.
        temperature: Temperature of "noisy".
        flip: Probability that a label of "max" or "noisy" is turned around, at most 0.5.
        render_mode: Of both environments, when an id is given; `render` shows them side by side.

    Raises:
        EnvzooError: The preference is none of these, the environment has no preference function, or its observations
            are no numbers.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "preference_game",
        "render_modes": ["rgb_array"],
        "is_parallelizable": True,
    }

    def __init__(
        self,
        make_env: str | Callable[[], gym.Env],
        preference: Preference | str = "environment",
        temperature: float = 1.0,
        flip: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        if isinstance(make_env, str):
            keywords = {} if render_mode is None else {"render_mode": render_mode}
            pair = [gym.make(make_env, disable_env_checker=True, **keywords) for _ in PLAYERS]
        elif callable(make_env):
            pair = [make_env() for _ in PLAYERS]
        else:
            raise EnvzooError(f"make_env is a {type(make_env).__name__}; expected an id or a function")
        if pair[0] is pair[1]:
            raise EnvzooError("make_env returned one environment twice; expected a new one each time")
        self.envs = dict(zip(PLAYERS, pair, strict=True))
        self.possible_agents, self.agents = list(PLAYERS), []
        self.render_mode = render_mode
        if preference == "environment":
            found = find_preference(pair[0])
            if found is None:
                raise EnvzooError(
                    f"{pair[0]} has no preference function; expected an environment such as envzoo/PrefPoint-v0, "
                    "or preference='max'"
                )
            self.preference = found
        else:
            self.preference = make_preference(preference, temperature, flip)
        if not isinstance(pair[0].observation_space, SIMPLE):
            raise EnvzooError(
                f"the observations {pair[0].observation_space} cannot be compared; expected Box, Discrete, "
                "MultiDiscrete or MultiBinary"
            )

    def observation_space(self, agent: str) -> spaces.Space:
        """Return the observation space of a player's environment."""
        return self.envs[agent].observation_space

    def action_space(self, agent: str) -> spaces.Space:
        """Return the action space of a player's environment."""
        return self.envs[agent].action_space

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begin both episodes.

        Args:
            seed: Seed of the first environment; the second has `seed + 1`.
            options: `{"environment": {...}}`, reset options of both environments.
        """
        given = (options or {}).get("environment")
        if seed is not None:
            check_seed(seed)
        self.agents = list(PLAYERS)
        self._seen: dict[str, list[Any]] = {}
        self._acted: dict[str, list[Any]] = {player: [] for player in PLAYERS}
        self._earned: dict[str, list[float]] = {player: [] for player in PLAYERS}
        self._ended: dict[str, bool | None] = dict.fromkeys(PLAYERS)  # whether by termination, once it has ended
        infos = {}
        for number, (player, env) in enumerate(self.envs.items()):
            observation, infos[player] = env.reset(seed=None if seed is None else seed + number, options=given)
            self._seen[player] = [observation]
        return self._latest(), infos

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """Take one step in each episode that has not ended.

        Raises:
            EnvzooError: The action of a player is missing.
        """
        if not self.agents:
            return {}, {}, {}, {}, {}
        infos: dict[str, dict[str, Any]] = {player: {} for player in PLAYERS}
        for player, env in self.envs.items():
            if self._ended[player] is not None:
                continue
            if player not in actions:
                raise EnvzooError(f"the action of {player} is missing; expected one for each player")
            observation, reward, terminated, truncated, infos[player] = env.step(actions[player])
            self._seen[player].append(observation)
            self._acted[player].append(actions[player])
            self._earned[player].append(float(reward))
            if terminated or truncated:
                self._ended[player] = bool(terminated)
        over = all(ended is not None for ended in self._ended.values())
        rewards = dict.fromkeys(PLAYERS, 0.0)
        if over:
            value = self._compare()
            rewards = {PLAYERS[0]: value, PLAYERS[1]: -value}
            self.agents = []
        terminated = over and all(self._ended.values())
        flags = dict.fromkeys(PLAYERS, terminated), dict.fromkeys(PLAYERS, over and not terminated)
        return self._latest(), rewards, *flags, infos

    def _compare(self) -> float:
        first, second = (self.preference.features(self._trajectory(player)) for player in PLAYERS)
        # 2 p - 1 would not be antisymmetric to the last bit.
        win = self.preference.win_probability
        return float(win(first, second)[0, 0] - win(second, first)[0, 0])

    def _trajectory(self, player: str) -> Trajectories:
        seen = np.stack([np.asarray(observation).reshape(-1) for observation in self._seen[player]])[:, None]
        acted = np.stack([np.asarray(action) for action in self._acted[player]])[:, None]
        earned = np.array(self._earned[player])[:, None]
        return Trajectories(seen, acted, earned, np.array([len(earned)], np.int64))

    def _latest(self) -> dict[str, Any]:
        return {player: rows[-1] for player, rows in self._seen.items()}

    def render(self) -> np.ndarray | None:
        """Draw both environments side by side."""
        if self.render_mode is None:
            return None
        return np.concatenate([np.asarray(env.render()) for env in self.envs.values()], axis=1)

    def close(self) -> None:
        """Close both environments."""
        for env in self.envs.values():
            env.close()
