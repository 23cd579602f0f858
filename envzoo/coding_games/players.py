"""Coding games for two players in PettingZoo's form: a sender who knows the message, a receiver who guesses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import wrappers
from pettingzoo.utils.conversions import parallel_to_aec

from envzoo.coding_games.coding_game import CodingGame
from envzoo.coding_games.mdp import FiniteMDP
from envzoo.errors import EnvzooError, InvalidActionError, ResetNeededError
from envzoo.kernel.arguments import check_choice
from envzoo.kernel.batch import EpisodeBatch, check_options, may_render
from envzoo.kernel.definition import Definition, build
from envzoo.two_players import TwoPlayerForm

SENDER, RECEIVER = "sender", "receiver"
SEES = {SENDER: ("state", "message"), RECEIVER: ("previous", "action", "state", "guessing")}
FORM = TwoPlayerForm((SENDER, RECEIVER), zero_sum=False, sees=SEES)


class CodingPlayers(ParallelEnv):
    """Any coding game for two players, over the same kernels as its Gymnasium faces.

    In each round both players act: the sender moves, the receiver names a message. After the last move follows one more
    round, in which the receiver has seen the whole walk: there its guess counts, and the sender's move is ignored, as
    are all guesses before. Both players get the same rewards.

    | player | observation, a `Dict` | action |
    |---|---|---|
    | `sender` | `state` and `message` | the move |
    | `receiver` | `previous`, `action`, `state`: the latest move with the states before and after it (`action` is the
      number of actions before the first move); `guessing`: 1 when the guess is due | the guess |

    Nothing that the receiver is given, infos included, depends on the message but through the moves, until the game is
    over. The infos of both hold `discounted_return`, `belief_entropy` and `rate_limit` (see `CodingGame`), those of the
    sender `action_mask` too; after the guess both hold `guess`, `message` and `correct`.

    Args:
        definition_class: The game's definition.
        name: Name of the game in PettingZoo's metadata.
        game_id: Id of the game, if it is a registered one (see `envzoo.games`).
        render_mode: None, "rgb_array" or "ansi".
        **parameters: The game's own arguments (see the manual of its definition), but `receiver` and `belief`.

    Raises:
        UnknownNameError: For an unknown render mode or argument.
        EnvzooError: For a value that is not usable.
    """

    two_player: ClassVar[TwoPlayerForm] = FORM
    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 5,
        "is_parallelizable": True,
        "name": "coding_game",
    }

    def __init__(
        self,
        definition_class: type[Definition],
        name: str = "coding_game",
        game_id: str | None = None,
        *,
        render_mode: str | None = None,
        **parameters: Any,
    ) -> None:
        if render_mode is not None:
            check_choice("render mode", render_mode, self.metadata["render_modes"])
        for fixed in ("receiver", "belief"):
            if fixed in parameters:
                raise EnvzooError(f"{fixed} is no argument of a game of two players; leave it out")
        self.metadata = {**self.metadata, "name": name}
        self.render_mode = render_mode
        self.game_id, self.parameters = game_id, parameters
        self.definition = build(definition_class, {**parameters, "receiver": "player"})
        self._batch = EpisodeBatch(self.definition, 1, None)
        self.possible_agents = [SENDER, RECEIVER]
        self.agents: list[str] = []
        shown, action = self.definition.observation_space, self.definition.action_space
        self._observation_spaces = {
            player: spaces.Dict({key: shown[key] for key in keys}) for player, keys in SEES.items()
        }
        guess = self.definition.rules.message_space
        self._action_spaces = {SENDER: spaces.Discrete(int(action.nvec[0])), RECEIVER: guess}

    def observation_space(self, agent: str) -> gym.Space:
        """Space of a player's observations."""
        return self._observation_spaces[_player(agent)]

    def action_space(self, agent: str) -> gym.Space:
        """Space of a player's actions."""
        return self._action_spaces[_player(agent)]

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Start a game; `options` as in the manual (`message`, `state`).

        Options that the game does not know are left aside with a warning: PettingZoo asks games to put up with them.

        Raises:
            EnvzooError: For a seed or an option's value that is not usable.
        """
        check_options(options)
        batch = self._batch
        known = self.definition.option_names
        for option in options or {}:
            if option not in known:
                gym.logger.warn(f"{self} knows no reset option {option!r}; it knows {', '.join(known)}")
        read = batch.read_options({key: value for key, value in (options or {}).items() if key in known})
        if seed is not None:
            batch.seed([seed], batch.everyone)
        infos = batch.new_infos()
        batch.reset(batch.everyone, infos, read)
        batch.started = True
        self.agents = list(self.possible_agents)
        return self._observations(), self._infos(infos, False)

    def step(self, actions: Mapping[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """One round.

        Args:
            actions: The sender's move and the receiver's guess, by player.

        Returns:
            Observations, rewards, terminations, truncations (never) and infos, each a dict by player.

        Raises:
            InvalidActionError: When an action is missing or lies outside its space.
            ResetNeededError: Before the first reset, or after the end of the game.
        """
        if not self.agents:
            raise ResetNeededError("step was called without a game that goes on; call reset first")
        if not isinstance(actions, Mapping):
            raise InvalidActionError(f"the actions are a {type(actions).__name__}; expected a dict by player")
        for player, space in self._action_spaces.items():
            if player not in actions:
                raise InvalidActionError(f"the action of {player} is missing; expected one of {space}")
            if not space.contains(actions[player]):
                raise InvalidActionError(f"action {actions[player]!r} of {player} lies outside {space}")
        batch = self._batch
        pair = np.concatenate([np.atleast_1d(actions[SENDER]), np.atleast_1d(actions[RECEIVER])]).astype(np.int64)
        infos = batch.new_infos()
        rewards, terminated, _, _ = batch.step(pair[None], batch.everyone, infos)
        over = bool(terminated[0])
        players = self.agents
        result = (
            self._observations(),
            dict.fromkeys(players, float(rewards[0])),
            dict.fromkeys(players, over),
            dict.fromkeys(players, False),
            self._infos(infos, over),
        )
        if over:
            self.agents = []
        return result

    def get_state(self) -> dict[str, np.ndarray]:
        """Copies of all that decides how the game goes on, as from the Gymnasium faces."""
        return self._batch.get_state()

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `get_state` gave; raises EnvzooError when it does not fit this game."""
        self._batch.set_state(state)
        self.agents = [] if self._batch.needs_reset[0] else list(self.possible_agents)

    def render(self) -> np.ndarray | str | None:
        """The game as an image, uint8 (height, width, 3), or as text, by `render_mode`; message and belief are shown.

        Raises:
            ResetNeededError: Before the first reset.
        """
        if not may_render(self.render_mode, self._batch.started, "the game"):
            return None
        episode = self._batch.episode(0)
        return self.definition.draw(episode) if self.render_mode == "rgb_array" else self.definition.describe(episode)

    def close(self) -> None:
        """Nothing to do."""

    def _observations(self) -> dict[str, dict[str, Any]]:
        everything = self._batch.observe()
        return {player: {key: everything[key][0] for key in keys} for player, keys in SEES.items()}

    def _infos(self, infos: tuple, over: bool) -> dict[str, dict[str, Any]]:
        public = {key: getattr(infos, key).item() for key in ("discounted_return", "belief_entropy", "rate_limit")}
        if over:
            public["correct"] = bool(infos.correct[0])
            public |= {key: getattr(infos, key)[0].tolist() for key in ("guess", "message")}
        return {SENDER: {**public, "action_mask": infos.action_mask[0].copy()}, RECEIVER: dict(public)}

    def __str__(self) -> str:
        return self.metadata["name"]


class MarkovCodingGame(CodingPlayers):
    """A coding game of two players on any finite decision process; see `CodingPlayers` and `CodingGame`.

    Args:
        mdp: The process (`envzoo.coding_games.mdp.FiniteMDP`, or `from_gymnasium("FrozenLake-v1")`).
        num_messages: Number of messages, or one for each block.
        message_priority: Reward of a right guess.
        render_mode: None, "rgb_array" or "ansi".
        **parameters: `prior`, `rate`, `encoder`, `temperature`, `policy`, `horizon`, `convention` as in `CodingGame`.
    """

    def __init__(
        self,
        mdp: FiniteMDP,
        num_messages: int | list[int] = 64,
        message_priority: float = 1.0,
        *,
        render_mode: str | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__(
            CodingGame,
            "markov_coding_game",
            render_mode=render_mode,
            mdp=mdp,
            num_messages=num_messages,
            message_priority=message_priority,
            **parameters,
        )


def in_turns(game: ParallelEnv) -> AECEnv:
    """The form in which the players act in turn (PettingZoo's AEC), the sender first."""
    return parallel_to_aec(game)


def order_enforced(game: AECEnv) -> AECEnv:
    """The game with PettingZoo's check that `reset`, `step` and the rest are called in order."""
    return wrappers.OrderEnforcingWrapper(game)


def make_forms(
    definition: type[CodingGame], name: str
) -> tuple[Callable[..., CodingPlayers], Callable[..., AECEnv], Callable[..., AECEnv]]:
    """Make the functions `parallel_env`, `raw_env` and `env` of a game's module, in PettingZoo's convention.

    Args:
        definition: The game.
        name: Name of the module.
    """

    def parallel_env(**kwargs: Any) -> CodingPlayers:
        return CodingPlayers(definition, name, f"envzoo/{name}", **kwargs)

    def raw_env(**kwargs: Any) -> AECEnv:
        return in_turns(parallel_env(**kwargs))

    def env(**kwargs: Any) -> AECEnv:
        return order_enforced(raw_env(**kwargs))

    keywords = f"keywords of `{definition.__name__}`, and `render_mode`"
    parallel_env.__doc__ = f"Make the game in which both players act at once; {keywords}."
    raw_env.__doc__ = f"Make the game in which the players act in turn, the sender first; {keywords}."
    env.__doc__ = f"Make the game in which the players act in turn, checked for calls out of order; {keywords}."
    for function in (parallel_env, raw_env, env):
        function.__module__ = f"{__package__}.{name}"
        function.__qualname__ = function.__name__
    return parallel_env, raw_env, env


def _player(agent: str) -> str:
    return check_choice("player", agent, SEES)
