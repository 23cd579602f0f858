"""Where experience comes from: an environment id, an environment, a vector environment, a game or a dataset."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

import envzoo  # noqa: F401  (registers our environments)
from envzoo.agents import guard
from envzoo.agents.spec import AgentSpec
from envzoo.errors import EnvzooError, UnsupportedSpaceError, unknown
from envzoo.games import games, make_game
from envzoo.sizes import check_bytes
from envzoo.wrappers.adapters import has_adapter

COPY_BYTES = 32 * 2**10  # of an environment that is an object of its own, by experience
ROW_BYTES = 2**10  # of one that is a row in arrays


@dataclass
class Source:
    """A resolved source.

    Attributes:
        kind: "environment", "game" or "dataset".
        name: Id, or the class name of an object; for people.
        id: Id from which an equal source can be made again, else None. Games have ids too (see `envzoo.games`).
        observation_space: Space of one environment (games: dict by player).
        action_space: Likewise.
        env_kwargs: Keywords of the environment when it is made from `id`.
        given: The object that was given, if it was one.
    """

    kind: str
    name: str
    id: str | None
    observation_space: Any
    action_space: Any
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    given: Any = None

    def training_env(self, num_envs: int) -> VectorEnv:
        """A vector environment to learn on: the given one, or `num_envs` fresh copies."""
        if isinstance(self.given, VectorEnv):
            return self.given
        if isinstance(self.given, gym.Env):
            return SyncVectorEnv([lambda: self.given], autoreset_mode=AutoresetMode.SAME_STEP)
        return make_vector_env(self.id, num_envs, self.env_kwargs)

    def environment(self) -> tuple[str, dict[str, Any]]:
        """Id and keywords of the environment: the source itself, or the one a dataset was collected in.

        Raises:
            EnvzooError: The source is an object without a registered id, which cannot be copied, or a dataset whose
                environment is not known here.
        """
        if self.kind == "dataset":
            return _dataset_env(self.given)
        if self.kind != "environment" or self.id is None:
            raise EnvzooError(f"{self.name} has no registered id to make copies from; give an evaluation environment")
        return self.id, self.env_kwargs

    def evaluation_game(self) -> Any:
        """A fresh copy of the game, a `pettingzoo.ParallelEnv`.

        Raises:
            EnvzooError: The source is no game with a registered id.
        """
        if self.kind != "game" or self.id is None:
            raise EnvzooError(f"{self.name} is no registered game to make a copy of; give a game to evaluate in")
        return make_game(self.id, **self.env_kwargs)

    def evaluation_env(self, num_envs: int) -> VectorEnv:
        """Fresh copies for evaluation; raises EnvzooError as `environment` does."""
        env_id, env_kwargs = self.environment()
        return make_vector_env(env_id, num_envs, env_kwargs)


def make_vector_env(env_id: str, num_envs: int, env_kwargs: dict[str, Any] | None = None) -> VectorEnv:
    """A vector environment of `num_envs` episodes that resets finished ones in the same step where it can.

    Environments with a vector implementation whose state can be captured use it (see `register_state_adapter`); others
    run one after the other, and their episodes can be replayed.

    Raises:
        EnvzooError: The environment refuses its keywords.
    """
    env_kwargs = env_kwargs or {}
    guard.check_environment(env_id)
    spec = gym.spec(env_id.rpartition(":")[2])  # of "module:id", whose module was imported when it was resolved
    one_by_one = not has_adapter(spec.vector_entry_point) or num_envs == 1
    if not _is_kernel(spec):  # those count for themselves
        check_bytes(num_envs * (COPY_BYTES if one_by_one else ROW_BYTES), f"{num_envs} environments {env_id}")
    try:
        if _is_kernel(spec):
            return gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **env_kwargs)
        if not one_by_one:
            return gym.make_vec(env_id, num_envs=num_envs, **env_kwargs)
        make_one = partial(gym.make, env_id, disable_env_checker=True, **env_kwargs)
        return SyncVectorEnv([make_one] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP, copy=False)
    except TypeError as error:
        raise EnvzooError(f"{env_id} does not take the keywords {sorted(env_kwargs)} ({error})") from error


def _dataset_env(dataset: Any) -> tuple[str, dict[str, Any]]:
    """Id and keywords of the environment that a Minari dataset was recorded in; raises EnvzooError when unknown."""
    spec = dataset.env_spec
    if spec is None:
        raise EnvzooError(f"dataset {dataset.spec.dataset_id} names no environment; give an evaluation environment")
    if spec.id not in gym.registry:
        raise EnvzooError(
            f"dataset {dataset.spec.dataset_id} was recorded in {spec.id}, which is not registered here; install and "
            "import the package that has it, or give an evaluation environment"
        )
    keywords = _keywords(spec)
    # The dataset's own file names them, whoever asked for the dataset. Wrappers and entry points that are stored beside
    # them are never looked at.
    with guard.reading(f"dataset {dataset.spec.dataset_id}"):
        guard.check_environment(spec.id)
        guard.check_keywords(spec.id, keywords)
    return spec.id, keywords


def _keywords(spec: gym.envs.registration.EnvSpec) -> dict[str, Any]:
    """The keywords with which `gym.make` gives an equal environment, without those of drawing."""
    kwargs = {key: value for key, value in spec.kwargs.items() if key != "render_mode"}
    registered = gym.registry.get(spec.id)
    if registered is None or spec.max_episode_steps not in (None, registered.max_episode_steps):
        kwargs["max_episode_steps"] = spec.max_episode_steps
    return kwargs


def _is_kernel(spec: gym.envs.registration.EnvSpec) -> bool:
    entry = spec.vector_entry_point
    return isinstance(entry, str) and entry.startswith("envzoo.")


def is_game(source: Any) -> bool:
    """Whether an object is a PettingZoo game."""
    return hasattr(source, "possible_agents") and hasattr(source, "observation_space") and hasattr(source, "reset")


def _is_dataset(source: Any) -> bool:
    return hasattr(source, "iterate_episodes") and hasattr(source, "spec")


def resolve(source: Any, spec: AgentSpec, env_kwargs: dict[str, Any] | None = None) -> Source:
    """Find out what a source is and whether the agent can take it.

    Raises:
        UnknownNameError: A name that is no environment, game or dataset; the sentence names the nearest.
        UnsupportedSpaceError: The agent does not take this kind of source.
        DatasetError: A known dataset that has not been made; the sentence says how to make it.
    """
    resolved = _resolve(source, spec, env_kwargs or {})
    if resolved.kind not in spec.sources:
        article = {"environment": "an environment", "game": "a game", "dataset": "a dataset"}
        expected = " or ".join(article[kind] for kind in spec.sources)
        raise UnsupportedSpaceError(f"{spec.name} takes {expected}, but {resolved.name} is {article[resolved.kind]}")
    return resolved


def _resolve(source: Any, spec: AgentSpec, env_kwargs: dict[str, Any]) -> Source:
    if isinstance(source, str):
        return _resolve_id(source, spec, env_kwargs)
    if env_kwargs:
        raise EnvzooError(f"env_kwargs go with an environment id, not with a {type(source).__name__} object")
    if isinstance(source, VectorEnv):
        kwargs = dict(source.spec.kwargs) if source.spec is not None else {}
        wrapped = source is not source.unwrapped or bool(kwargs.pop("wrappers", None))
        for key in ("num_envs", "vectorization_mode", "vector_kwargs", "autoreset_mode", "render_mode"):
            kwargs.pop(key, None)
        name = source.spec.id if source.spec is not None else type(source.unwrapped).__name__
        env_id = source.spec.id if source.spec is not None and not wrapped else None
        spaces = (source.single_observation_space, source.single_action_space)
        return Source("environment", name, env_id, *spaces, kwargs if env_id else {}, source)
    if isinstance(source, gym.Env):
        # A wrapped environment cannot be rebuilt from its id alone, so only a bare one counts as having an id.
        bare = source.spec is not None and not source.spec.additional_wrappers
        env_id = source.spec.id if bare else None
        kwargs = _keywords(source.spec) if bare else {}
        name = source.spec.id if source.spec is not None else type(source.unwrapped).__name__
        return Source("environment", name, env_id, source.observation_space, source.action_space, kwargs, source)
    if is_game(source):
        players = list(source.possible_agents)
        observation_spaces = {player: source.observation_space(player) for player in players}
        action_spaces = {player: source.action_space(player) for player in players}
        game_id = getattr(source, "game_id", None)
        kwargs = dict(source.parameters) if game_id else {}
        return Source("game", str(source), game_id, observation_spaces, action_spaces, kwargs, source)
    if _is_dataset(source):
        name = source.spec.dataset_id
        return Source("dataset", name, name, source.observation_space, source.action_space, {}, source)
    raise UnsupportedSpaceError(
        f"a {type(source).__name__} is no source; expected an environment id, a Gymnasium environment or vector "
        "environment, a PettingZoo game, or a Minari dataset or its id"
    )


def _resolve_id(name: str, spec: AgentSpec, env_kwargs: dict[str, Any]) -> Source:
    from envzoo.datasets import is_dataset_id, known_dataset_ids, load_minari

    guard.check_environment(name)
    guard.check_keywords(name, env_kwargs)
    environments = gym.registry
    if name in environments or ":" in name:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # e.g. that a newer version of an old environment exists
                env = gym.make(name, disable_env_checker=True, **env_kwargs)
        except gym.error.DependencyNotInstalled as error:
            raise EnvzooError(f"{name} needs a package that is not installed ({error})") from error
        except EnvzooError:
            raise
        except Exception as error:  # environments refuse keywords with whatever error they like
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise EnvzooError(f"{name} cannot be made with the keywords {env_kwargs} ({reason})") from error
        found = Source("environment", name, name, env.observation_space, env.action_space, env_kwargs)
        env.close()
        return found
    if name in games():
        found = _resolve(make_game(name, **env_kwargs), spec, {})
        return replace(found, name=name, id=name, env_kwargs=env_kwargs, given=None)
    if is_dataset_id(name):
        dataset = load_minari(name)
        return Source("dataset", name, name, dataset.observation_space, dataset.action_space, {}, dataset)
    choices: list[str] = []
    if "environment" in spec.sources:
        choices += list(environments)
    if "game" in spec.sources:
        choices += list(games())
    if "dataset" in spec.sources:
        choices += known_dataset_ids()
    raise unknown("source", name, choices, where="`envzoo list envs` and `envzoo list datasets` show ours")
