"""Two-player coding games for PettingZoo: a sender who knows the message, and a receiver who guesses it."""

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
from envzoo.kernel.batch import EpisodeBatch, check_options, render_episode
from envzoo.kernel.definition import Definition, build
from envzoo.two_players import TwoPlayerForm

SENDER, RECEIVER = "sender", "receiver"
SEES = {SENDER: ("state", "message"), RECEIVER: ("previous", "action", "state", "guessing")}
FORM = TwoPlayerForm((SENDER, RECEIVER), zero_sum=False, sees=SEES)


class CodingPlayers(ParallelEnv):
    """Any coding game as a two-player game, over the same kernels as its Gymnasium environments.

    In each round both players act: the sender moves, the receiver names a message. One additional round follows the
        last
    move, when the receiver has seen the whole walk: there its guess counts and the sender's move is ignored; all
    earlier guesses are ignored. Both players receive the same rewards.

    | player | observation, a `Dict` | action |
    |---|---|---|
    | `sender` | `state` and `message` | the move |
    | `receiver` | `previous`, `action`, `state`: the last move with the states before and after it (`action` is the
    number of actions before the first move); `guessing`: 1 if the guess is due | the guess |

    Until the game is over, the receiver's observations and infos depend on the message only through the moves. The
    infos of both players hold `discounted_return`, `belief_entropy` and `rate_limit` (see `CodingGame`), those of the
    sender also `action_mask`; after the guess both hold `guess`, `message` and `correct`.

    Args:
        definition_class: Definition class of the game.
        name: Name of the game in PettingZoo's metadata.
        game_id: Id of the game, if it is registered (see `envzoo.games`).
        render_mode: None, "rgb_array" or "ansi".
        **parameters: Arguments of the game (see the manual of its definition), except `receiver` and `belief`.

    Raises:
        UnknownNameError: A render mode or argument is unknown.
        EnvzooError: A value is invalid.
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
                raise EnvzooError(f"{fixed} is not an argument of a two-player game; leave it out")
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
        """Return the observation space of a player."""
        return self._observation_spaces[_player(agent)]

    def action_space(self, agent: str) -> gym.Space:
        """Return the action space of a player."""
        return self._action_spaces[_player(agent)]

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Start a game; `options` are those of the manual (`message`, `state`).

        Unknown options are ignored with a warning, because PettingZoo requires games to accept them.

        Raises:
            EnvzooError: The seed or the value of an option is invalid.
        """
        check_options(options)
        batch = self._batch
        known = self.definition.option_names
        for option in options or {}:
            if option not in known:
                gym.logger.warn(f"{self} has no reset option {option!r}; its options are {', '.join(known)}")
        read = batch.read_options({key: value for key, value in (options or {}).items() if key in known})
        if seed is not None:
            batch.seed([seed], batch.everyone)
        infos = batch.new_infos()
        batch.reset(batch.everyone, infos, read)
        batch.started = True
        self.agents = list(self.possible_agents)
        return self._observations(), self._infos(infos, False)

    def step(self, actions: Mapping[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """Play one round.

        Args:
            actions: Dict with the sender's move and the receiver's guess.

        Returns:
            Dicts by player of observations, rewards, terminations, truncations (always False) and infos.

        Raises:
            InvalidActionError: An action is missing or outside its space.
            ResetNeededError: The game was never reset, or has ended.
        """
        if not self.agents:
            raise ResetNeededError("step was called without a running game; call reset first")
        if not isinstance(actions, Mapping):
            raise InvalidActionError(f"actions is a {type(actions).__name__}; expected a dict from player to action")
        for player, space in self._action_spaces.items():
            if player not in actions:
                raise InvalidActionError(f"the action of {player} is missing; expected one of {space}")
            if not _contains(space, actions[player]):
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
        """Return copies of the complete state of the game, in the format of the Gymnasium environments."""
        return self._batch.get_state()

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state returned by `get_state`; raises EnvzooError if it does not fit this game."""
        self._batch.set_state(state)
        self.agents = [] if self._batch.needs_reset[0] else list(self.possible_agents)

    def render(self) -> np.ndarray | str | None:
        """Render the game as an image, uint8 (height, width, 3), or as text; message and belief are shown.

        Raises:
            ResetNeededError: The game was never reset.
        """
        return render_episode(self, self._batch, "the game")

    def close(self) -> None:
        """Do nothing; there are no resources to release."""

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
    """A two-player coding game on any finite decision process; see `CodingPlayers` and `CodingGame`.

    Args:
        mdp: The process (`envzoo.coding_games.mdp.FiniteMDP`, or `from_gymnasium("FrozenLake-v1")`).
        num_messages: Number of messages, or a list with one number per block.
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
    """Convert a parallel game to PettingZoo's AEC form, in which the players act in turn, the sender first."""
    return parallel_to_aec(game)


def order_enforced(game: AECEnv) -> AECEnv:
    """Add PettingZoo's check that `reset`, `step` and other methods are called in order."""
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


def _contains(space: spaces.Space, action: Any) -> bool:
    """Return whether an action is in a space; before Gymnasium 1.4, a Discrete space raises an error for 2**63."""
    try:
        return space.contains(action)
    except OverflowError:
        return False
