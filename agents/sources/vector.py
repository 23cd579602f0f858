"""Vector environments to learn and to evaluate in, from an id or from a function that makes an environment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from envzoo.agents import guard
from envzoo.errors import EnvzooError, shorten
from envzoo.kernel.recognize import has_kernel
from envzoo.sizes import check_bytes
from envzoo.wrappers.adapters import has_adapter

COPY_BYTES = 32 * 2**10  # of an environment that is an object of its own, by experience
ROW_BYTES = 2**10  # of one that is a row in arrays


def make_vector_env(env_id: str, num_envs: int, env_kwargs: dict[str, Any] | None = None) -> VectorEnv:
    """Make a vector environment of `num_envs` episodes that resets finished ones in the same step where it can.

    Environments with a vector implementation whose state can be captured use it (see `register_state_adapter`); others
    run one after the other, and their episodes can be replayed.

    Raises:
        EnvzooError: The environment refuses its keywords.
    """
    env_kwargs = env_kwargs or {}
    guard.check_environment(env_id)
    spec = gym.spec(env_id.rpartition(":")[2])  # of "module:id", whose module was imported when it was resolved
    kernel = has_kernel(spec)
    one_by_one = not has_adapter(spec.vector_entry_point) or num_envs == 1
    if not kernel:  # those count for themselves
        check_bytes(num_envs * (COPY_BYTES if one_by_one else ROW_BYTES), f"{num_envs} environments {env_id}")
    try:
        if kernel:
            return gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **env_kwargs)
        if not one_by_one:
            return gym.make_vec(env_id, num_envs=num_envs, **env_kwargs)
        make_one = partial(gym.make, env_id, disable_env_checker=True, **env_kwargs)
        return SyncVectorEnv([make_one] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP, copy=False)
    except TypeError as error:
        keywords = shorten(str(sorted(env_kwargs)))
        raise EnvzooError(f"{env_id} does not take the keywords {keywords} ({shorten(str(error))})") from error


def vector_of(factory: Callable[[], gym.Env], num_envs: int, name: str) -> VectorEnv:
    """Make a vector environment of `num_envs` episodes from a function that makes one environment.

    Raises:
        EnvzooError: The function gives something else than a Gymnasium environment, or the same object again.
    """
    check_bytes(num_envs * COPY_BYTES, f"{num_envs} environments {name}")
    made: list[gym.Env] = []

    def make_one() -> gym.Env:
        made.append(check_made(factory(), name))
        if any(env.unwrapped is made[-1].unwrapped for env in made[:-1]):
            raise EnvzooError(f"{name} returned the same environment twice; expected a new one from each call")
        return made[-1]

    return SyncVectorEnv([make_one] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP, copy=False)


def check_made(env: Any, name: str) -> gym.Env:
    """Return what a user's function made; raises EnvzooError unless it is a Gymnasium environment."""
    if not isinstance(env, gym.Env):
        raise EnvzooError(
            f"{name} was called for an environment and returned a {type(env).__name__}; expected a gymnasium.Env"
        )
    return env
