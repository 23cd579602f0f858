"""Collect episodes of PettingZoo games, each player's steps as episodes of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.action_masks import NAME, takes_mask
from envzoo.datasets.collector import MAX_EPISODE_STEPS
from envzoo.errors import EnvzooError
from envzoo.games import make_game

if TYPE_CHECKING:
    from minari.data_collector import EpisodeBuffer

Plays = dict[str, "list[EpisodeBuffer]"]


class _Steps:
    """Observations, actions and rewards of one player in one episode."""

    def __init__(self, observation: Any, info: Mapping[str, Any]):
        self.observations, self.infos = [_copy(observation)], [_numbers(info)]
        self.actions: list[Any] = []
        self.rewards: list[float] = []
        self.ends: list[tuple[bool, bool]] = []

    def add(self, action: Any, reward: float, ends: tuple[bool, bool], observation: Any, info: Mapping[str, Any]):
        self.actions.append(np.array(action))
        self.rewards.append(float(reward))
        self.ends.append(ends)
        self.observations.append(_copy(observation))
        self.infos.append(_numbers(info))

    def buffer(self, number: int, seed: int) -> EpisodeBuffer:
        from minari.data_collector import EpisodeBuffer

        length = len(self.rewards)
        keys = [key for key in self.infos[0] if all(key in info for info in self.infos)]
        infos = {key: np.stack([info[key] for info in self.infos]) for key in keys} or {"step": np.arange(length + 1)}
        terminated, truncated = np.array(self.ends, bool).T
        return EpisodeBuffer(
            id=number,
            seed=seed,
            observations=_stack(self.observations),
            actions=np.stack(self.actions),
            rewards=np.array(self.rewards),
            terminations=terminated,
            truncations=truncated,
            infos=infos,
        )


def _copy(tree: Any) -> Any:
    return {key: _copy(value) for key, value in tree.items()} if isinstance(tree, Mapping) else np.array(tree)


def _stack(rows: list[Any]) -> Any:
    if isinstance(rows[0], dict):
        return {key: _stack([row[key] for row in rows]) for key in rows[0]}
    return np.stack(rows)


def _numbers(info: Mapping[str, Any]) -> dict[str, np.ndarray]:
    found = {key: np.asarray(value) for key, value in info.items()}
    return {key: value for key, value in found.items() if value.dtype.kind in "fiub"}


def collect_game(
    predict: Callable[..., Any],
    game_id: str,
    episodes: int,
    *,
    seed: int = 0,
    game_kwargs: Mapping[str, Any] | None = None,
    deterministic: bool = False,
    prepare: Callable[[Any], None] | None = None,
) -> Plays:
    """Collect complete episodes of a game, one after the other.

    Args:
        predict: The policy of all players: (observations by player, state, episode_start, deterministic) -> actions by
            player and the state for the next call.
        game_id: Id of a registered game.
        episodes: Number of episodes.
        seed: Episode i is reset with `seed + i`.
        game_kwargs: Keyword arguments of the game.
        deterministic: Passed to `predict`.
        prepare: Called with the game before its first episode (an agent's `set_env`).

    Returns:
        Player -> its episodes. A player that takes no part in an episode has none of it, so lengths may differ.

    Raises:
        UnknownNameError: There is no such game.
        EnvzooError: An episode does not end.
    """
    game = make_game(game_id, **(game_kwargs or {}))
    masked = takes_mask(predict)
    plays: Plays = {player: [] for player in game.possible_agents}
    try:
        if prepare is not None:
            prepare(game)
        for number in range(episodes):
            observations, infos = game.reset(seed=seed + number)
            steps: dict[str, _Steps] = {}
            state, start = None, np.ones(1, bool)
            while game.agents:
                if any(len(taken.rewards) == MAX_EPISODE_STEPS for taken in steps.values()):
                    raise EnvzooError(f"an episode of {game_id} has no end after {MAX_EPISODE_STEPS} steps")
                seen = {player: observations[player] for player in game.agents}
                for player in seen:
                    if player not in steps:
                        steps[player] = _Steps(seen[player], infos.get(player, {}))
                masks = {player: infos[player][NAME] for player in seen if NAME in infos.get(player, {})}
                keywords = {"action_mask": masks} if masked and masks else {}
                actions, state = predict(seen, state, start, deterministic, **keywords)
                observations, rewards, terminated, truncated, infos = game.step(actions)
                for player in seen:
                    ends = bool(terminated[player]), bool(truncated[player])
                    info = infos.get(player, {})
                    steps[player].add(actions[player], rewards[player], ends, observations[player], info)
                start = np.zeros(1, bool)
            for player, taken in steps.items():
                plays[player].append(taken.buffer(number, seed + number))
    finally:
        game.close()
    return plays
