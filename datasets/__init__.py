"""Offline datasets in Minari format: recipes that build them, and the transition table that offline agents train on.

Importing this package imports neither Minari nor PyTorch.
"""

from __future__ import annotations

if __name__ != "envzoo.datasets":
    raise ImportError(
        "this folder is envzoo.datasets, but it was found as the top-level package 'datasets' because Python was "
        "started in envzoo's repository with the current folder on its path: start it with `python -P`, or in another "
        "folder, so that Hugging Face's `datasets` is found instead"
    )

from typing import TYPE_CHECKING, Any

from envzoo.datasets.recipes import Recipe, recipe, recipes, register
from envzoo.datasets.returns import NStepReturns, n_step_returns
from envzoo.datasets.scores import normalised_scores, reference_returns
from envzoo.datasets.store import is_dataset_id, known_dataset_ids, load_minari
from envzoo.datasets.table import TransitionTable

if TYPE_CHECKING:
    from minari.data_collector import EpisodeBuffer

__all__ = [
    "NStepReturns",
    "Recipe",
    "TransitionTable",
    "collect",
    "is_dataset_id",
    "known_dataset_ids",
    "load_minari",
    "n_step_returns",
    "normalised_scores",
    "recipe",
    "recipes",
    "reference_returns",
    "register",
]


def collect(
    agent: Any,
    env_id: str,
    episodes: int,
    *,
    seed: int = 0,
    env_kwargs: dict[str, Any] | None = None,
    deterministic: bool = False,
) -> list[EpisodeBuffer] | dict[str, list[EpisodeBuffer]]:
    """Collect complete episodes of an agent, up to 1000 of them in parallel, for `minari.create_dataset_from_buffers`.

    In a PettingZoo game of envzoo, all players are the agent's, and each player's steps are episodes of their own.
    Unlike Minari's `DataCollector`, this plays vector environments and needs no JAX.

    Args:
        agent: An agent, or a function with the signature of its `predict`: (observation, state, episode_start,
            deterministic) -> actions and the state for the next call.
        env_id: Gymnasium id of the environment, or id of a game.
        episodes: Number of episodes.
        seed: Episode i is reset with `seed + i`.
        env_kwargs: Keyword arguments of the environment or game.
        deterministic: Passed to `predict`.

    Returns:
        Buffers of T steps each: observations and numeric infos (T + 1, ...), all other arrays (T, ...). For a game, the
        buffers by player.

    Raises:
        EnvzooError: An agent, environment or number that is not usable, or an episode without an end.
    """
    from envzoo.datasets.collector import check_request
    from envzoo.datasets.collector import collect as collect_episodes
    from envzoo.datasets.game_collector import collect_game
    from envzoo.games import games

    if isinstance(env_id, str) and env_id in games():
        predict = getattr(agent, "predict", agent)
        check_request(predict, episodes, seed, env_kwargs)
        more = {"deterministic": deterministic, "prepare": getattr(agent, "set_env", None)}
        return collect_game(predict, env_id, episodes, seed=seed, game_kwargs=env_kwargs, **more)
    return collect_episodes(
        env_id,
        getattr(agent, "predict", agent),
        episodes=episodes,
        seed=seed,
        env_kwargs=env_kwargs,
        deterministic=deterministic,
        prepare=getattr(agent, "set_env", None),
    )
