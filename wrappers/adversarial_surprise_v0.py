"""Adversarial surprise on any Gymnasium environment, as a two-player PettingZoo game (arXiv 2107.07394).

Explore and Control share one agent and control it in alternating rounds. `env(...)` is the turn-based form, in which
only the player of the current round acts; `parallel_env(...)` is the parallel form, in which both players give an
action and only the action of the current round's player counts. In every scored step Control receives log p(o) and
Explore its negative, so the game is exactly zero-sum, whoever begins. (The agent AdversarialSurprise rewards Explore
for the round that follows, which is zero-sum only with Explore first.) In the turn-based form Explore receives the
reward of its last action with its next turn.

```python
from envzoo.wrappers import adversarial_surprise_v0

game = adversarial_surprise_v0.env("envzoo/BlockChain-v0", rounds=4)
```
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import wrappers as pettingzoo_wrappers

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_choice
from envzoo.kernel.batch import check_options
from envzoo.two_players import TwoPlayerForm
from envzoo.wrappers.adversarial_rounds import AdversarialRounds
from envzoo.wrappers.return_normalizer import ReturnNormalizer
from envzoo.wrappers.round_switcher import CONTROL, PLAYERS


class _Game:
    """Base of both forms: holds the wrapped environment and assigns the rewards.

    Args:
        source: A Gymnasium environment, or its id.
        normalize: Divide Control's rewards (and hence Explore's) by the standard deviation of discounted returns.
        render_mode: Render mode of the environment, if `source` is an id.
        **rounds: Arguments of `AdversarialRounds`.

    Raises:
        UnknownNameError, UnsupportedSpaceError, EnvzooError: As in `AdversarialRounds`, or `source` is not an
            environment.
    """

    two_player: ClassVar[TwoPlayerForm] = TwoPlayerForm(PLAYERS, zero_sum=True, turn_key="player")

    def _open(self, source: Any, normalize: bool, render_mode: str | None, rounds: dict[str, Any]) -> None:
        if render_mode is not None:
            check_choice("render mode", render_mode, self.metadata["render_modes"])
        if isinstance(source, str):
            source = gym.make(source, render_mode=render_mode)
        if not isinstance(source, gym.Env):
            raise EnvzooError(f"source is a {type(source).__name__}; expected a Gymnasium environment or its id")
        game = AdversarialRounds(source, **rounds)
        self._turns = game.tracker.turns
        self._env = ReturnNormalizer(game) if normalize else game
        self.possible_agents = list(PLAYERS)
        self.observation_spaces = dict.fromkeys(PLAYERS, self._env.observation_space)
        self.action_spaces = dict.fromkeys(PLAYERS, self._env.action_space)
        self.render_mode = source.render_mode

    @functools.cache  # noqa: B019  (PettingZoo expects the same object at every call)
    def observation_space(self, agent: str) -> spaces.Space:
        """Return the environment's observation space with turn and density, the same for both players."""
        return self.observation_spaces[check_choice("player", agent, PLAYERS)]

    @functools.cache  # noqa: B019
    def action_space(self, agent: str) -> spaces.Space:
        """Return the environment's action space, the same for both players."""
        return self.action_spaces[check_choice("player", agent, PLAYERS)]

    @property
    def player(self) -> str:
        """Name of the player who acts next."""
        return PLAYERS[int(self._turns.player()[0])]

    def _start(self, seed: int | None, options: dict[str, Any] | None) -> tuple[Any, dict[str, Any]]:
        check_options(options)
        self.agents = list(PLAYERS)
        self._steps = 0
        # PettingZoo's games ignore unknown options; environments of the kernel base reject them.
        known = getattr(getattr(self._env.unwrapped, "definition", None), "option_names", None)
        if known is not None:
            options = {name: value for name, value in (options or {}).items() if name in known}
        return self._env.reset(seed=seed, options=options)

    def _advance(self, action: Any) -> tuple[Any, dict[str, float], bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self._env.step(action)
        self._steps += 1
        truncated = truncated or self._steps >= self._turns.horizon
        reward = float(reward)
        return observation, {PLAYERS[0]: -reward, PLAYERS[CONTROL]: reward}, terminated, truncated, info

    def render(self) -> Any:
        """Render the environment; an image gets a strip that names the player."""
        picture = self._env.render()
        if not isinstance(picture, np.ndarray):
            return picture
        from PIL import Image, ImageDraw

        height, width = picture.shape[:2]
        canvas = Image.new("RGB", (width, height + 18), (34, 39, 46))
        canvas.paste(Image.fromarray(picture), (0, 18))
        ImageDraw.Draw(canvas).text((6, 3), f"{self.player.capitalize()} acts, step {self._steps}", (255, 255, 255))
        return np.asarray(canvas)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


class raw_env(_Game, AECEnv):
    """The turn-based game; see the module and `_Game` for arguments and errors."""

    metadata: ClassVar[dict[str, Any]] = {
        "name": "adversarial_surprise_v0",
        "render_modes": ["human", "rgb_array", "ansi"],
        "is_parallelizable": False,
        "render_fps": 5,
    }

    def __init__(self, source: Any, *, normalize: bool = False, render_mode: str | None = None, **rounds: Any):
        super().__init__()
        self._open(source, normalize, render_mode, rounds)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start an episode."""
        self._observation, info = self._start(seed, options)
        self.rewards = dict.fromkeys(PLAYERS, 0.0)
        self._cumulative_rewards = dict.fromkeys(PLAYERS, 0.0)
        self.terminations = dict.fromkeys(PLAYERS, False)
        self.truncations = dict.fromkeys(PLAYERS, False)
        self.infos = {player: dict(info) for player in PLAYERS}
        self.agent_selection = self.player

    def observe(self, agent: str) -> Any:
        """Return the current observation, the same for both players."""
        return self._observation

    def step(self, action: Any) -> None:
        """Execute the action of the selected player, which must be None once the game has ended."""
        selected = self.agent_selection
        if self.terminations[selected] or self.truncations[selected]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[selected] = 0.0
        self._observation, self.rewards, terminated, truncated, info = self._advance(action)
        self.terminations = dict.fromkeys(PLAYERS, terminated)
        self.truncations = dict.fromkeys(PLAYERS, truncated)
        self.infos = {player: dict(info) for player in PLAYERS}
        self._accumulate_rewards()
        self.agent_selection = self.player


class parallel_env(_Game, ParallelEnv):
    """The parallel game; see the module and `_Game` for arguments and errors."""

    metadata: ClassVar[dict[str, Any]] = {
        "name": "adversarial_surprise_v0",
        "render_modes": ["human", "rgb_array", "ansi"],
        "render_fps": 5,
    }

    def __init__(self, source: Any, *, normalize: bool = False, render_mode: str | None = None, **rounds: Any):
        super().__init__()
        self._open(source, normalize, render_mode, rounds)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Start an episode."""
        observation, info = self._start(seed, options)
        return dict.fromkeys(PLAYERS, observation), {player: dict(info) for player in PLAYERS}

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """Take one step with the actions of both players; only the action of the current round's player counts.

        Raises:
            EnvzooError: That player gave no action, or the actions are not a dict.
        """
        if not isinstance(actions, Mapping):
            raise EnvzooError(f"actions is a {type(actions).__name__}; expected a dict from player to action")
        if self.player not in actions:
            raise EnvzooError(f"{self.player} acts in this round, but only {list(actions)} gave actions")
        observation, rewards, terminated, truncated, info = self._advance(actions[self.player])
        if terminated or truncated:
            self.agents = []
        return (
            dict.fromkeys(PLAYERS, observation),
            rewards,
            dict.fromkeys(PLAYERS, terminated),
            dict.fromkeys(PLAYERS, truncated),
            {player: dict(info) for player in PLAYERS},
        )


def env(source: Any, **arguments: Any) -> AECEnv:
    """Make the turn-based game with PettingZoo's checks of call order and, for Discrete actions, of bounds."""
    game: AECEnv = raw_env(source, **arguments)
    if isinstance(game.action_space(PLAYERS[0]), spaces.Discrete):
        game = pettingzoo_wrappers.AssertOutOfBoundsWrapper(game)
    return pettingzoo_wrappers.OrderEnforcingWrapper(game)
