"""Environments: an id, an object, a vector environment, or a function that makes an environment."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

from envzoo.agents.sources.base import Source
from envzoo.agents.sources.specification import keywords_of
from envzoo.agents.sources.vector import check_made
from envzoo.errors import EnvzooError, shorten


def is_environment(source: Any) -> bool:
    """Return whether an object is a Gymnasium environment or vector environment."""
    return isinstance(source, gym.Env | VectorEnv)


def from_environment(source: gym.Env | VectorEnv) -> Source:
    """Resolve an environment or vector environment."""
    if isinstance(source, VectorEnv):
        kwargs = dict(source.spec.kwargs) if source.spec is not None else {}
        wrapped = source is not source.unwrapped or bool(kwargs.pop("wrappers", None))
        for key in ("num_envs", "vectorization_mode", "vector_kwargs", "autoreset_mode", "render_mode"):
            kwargs.pop(key, None)
        name = source.spec.id if source.spec is not None else type(source.unwrapped).__name__
        env_id = source.spec.id if source.spec is not None and not wrapped else None
        spaces = (source.single_observation_space, source.single_action_space)
        return Source("environment", name, env_id, *spaces, kwargs if env_id else {}, source)
    # A wrapped environment cannot be rebuilt from its id alone, so only a bare one counts as having an id.
    bare = source.spec is not None and not source.spec.additional_wrappers
    env_id = source.spec.id if bare else None
    kwargs = keywords_of(source.spec) if bare else {}
    name = source.spec.id if source.spec is not None else type(source.unwrapped).__name__
    return Source("environment", name, env_id, source.observation_space, source.action_space, kwargs, source)


def is_maker(source: Any) -> bool:
    """Return whether an object is a function (or class) that could make an environment."""
    return callable(source) and not is_environment(source)


def from_maker(source: Any) -> Source:
    """Resolve a function without arguments that makes a new environment each time, as Gymnasium's SyncVectorEnv takes.

    No file can name a function, so the source has no id, and an agent that learned from it is loaded with it again.

    Raises:
        EnvzooError: The function returns something else than an environment.
    """
    name = getattr(source, "__name__", type(source).__name__)
    env = check_made(source(), f"the function {name}")
    title = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
    found = Source("environment", title, None, env.observation_space, env.action_space, factory=source)
    env.close()
    return found


def is_environment_id(name: str) -> bool:
    """Return whether a name is the id of an environment, or has the form "module:id"."""
    return name in gym.registry or ":" in name


def from_environment_id(name: str, env_kwargs: dict[str, Any]) -> Source:
    """Resolve an id, making one environment to learn its spaces.

    Raises:
        EnvzooError: The environment needs a package that is not installed, or refuses its keywords.
    """
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
        raise EnvzooError(
            f"{name} cannot be made with the keywords {shorten(str(env_kwargs))} ({shorten(reason)})"
        ) from error
    found = Source("environment", name, name, env.observation_space, env.action_space, env_kwargs)
    env.close()
    return found


def environment_ids() -> Iterable[str]:
    """Return all ids that Gymnasium knows."""
    return gym.registry
