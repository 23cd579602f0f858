"""StableBaselines3VecEnv: batched environments for the algorithms of Stable-Baselines3."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from envzoo.errors import EnvzooError, missing_extra
from envzoo.kernel.recognize import has_kernel

try:
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise missing_extra("StableBaselines3VecEnv", "stable-baselines3", "sb3") from error


class StableBaselines3VecEnv(VecEnv):
    """A `stable_baselines3.common.vec_env.VecEnv` over one Gymnasium vector environment.

    Stable-Baselines3 steps a list of single environments in Python. This adapter passes all actions to one vector
    environment instead, so that the environments of envzoo are stepped by their compiled kernel:

    ```python
    from stable_baselines3 import PPO
    from envzoo.wrappers import StableBaselines3VecEnv

    env = StableBaselines3VecEnv("envzoo/GridCoverage-v0", num_envs=64)
    PPO("MlpPolicy", env, seed=0).learn(100_000)
    ```

    Observations, rewards, `terminal_observation`, `TimeLimit.truncated` and seeds are those of a `DummyVecEnv` over the
    same environments in `Monitor` wrappers. `infos[i]["episode"]` of an ended episode holds its return `r`, its length
    `l` and the seconds `t` since the adapter was made, as with `Monitor`.

    Args:
        env: Id of an environment, or a `gymnasium.vector.VectorEnv` in the mode `AutoresetMode.SAME_STEP`.
        num_envs: Number of episodes, for an id.
        **kwargs: Keyword arguments of the environment, for an id.

    Raises:
        EnvzooError: The vector environment does not reset in the same step, or arguments were given with an object.
        MissingExtraError: Stable-Baselines3 is not installed.
    """

    def __init__(self, env: str | VectorEnv, num_envs: int | None = None, **kwargs: Any) -> None:
        if isinstance(env, str):
            env = _make(env, num_envs or 1, kwargs)
        elif num_envs is not None or kwargs:
            raise EnvzooError("num_envs and other keywords go with an environment id, not with a vector environment")
        mode = env.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise EnvzooError(
                f"the vector environment resets in the mode {getattr(mode, 'value', mode)}; expected SameStep, that is "
                "gymnasium.make_vec(..., autoreset_mode=AutoresetMode.SAME_STEP)"
            )
        self.env = env
        self._actions: np.ndarray | None = None
        self._returns, self._lengths = np.zeros(env.num_envs), np.zeros(env.num_envs, np.int64)
        self._began = time.time()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    # ------------------------------------------------------------------ stepping

    def reset(self) -> Any:
        """Start all episodes with the seeds and options that were set; returns the observations."""
        if any(options != self._options[0] for options in self._options):
            raise EnvzooError("set_options was given options that differ; a batch of episodes shares one dict of them")
        seeds = None if all(seed is None for seed in self._seeds) else list(self._seeds)
        observations, infos = self.env.reset(seed=seeds, options=self._options[0] or None)
        self.reset_infos = split_infos(infos, self.num_envs)
        self._returns[:], self._lengths[:] = 0.0, 0
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Take one step in every episode.

        Returns:
            Observations (num_envs, ...), rewards (num_envs,) float32, dones (num_envs,) bool, and a dict per episode.
        """
        observations, rewards, terminated, truncated, info = self.env.step(self._actions)
        final_obs, final_info = info.pop("final_obs", None), info.pop("final_info", {})
        infos = split_infos({k: v for k, v in info.items() if k not in ("_final_obs", "_final_info")}, self.num_envs)
        dones = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        if dones.any():
            finals = split_infos(final_info, self.num_envs)
            for i in np.flatnonzero(dones):
                self.reset_infos[i] = infos[i]
                infos[i] = finals[i] | {
                    "terminal_observation": final_obs[i],
                    "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                    "episode": {
                        "r": round(float(self._returns[i]), 6),
                        "l": int(self._lengths[i]),
                        "t": round(time.time() - self._began, 6),
                    },
                }
            self._returns[dones], self._lengths[dones] = 0.0, 0
        if not dones.all():
            for i in np.flatnonzero(~dones):
                infos[i]["TimeLimit.truncated"] = False
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    # ------------------------------------------------------------------ attributes and methods

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of each chosen environment; one that the batch shares is repeated.

        Raises:
            AttributeError: The environment has no such attribute.
        """
        rows = list(self._get_indices(indices))
        copies = getattr(self.env.unwrapped, "envs", None)
        if copies is not None:
            return [copies[i].get_wrapper_attr(attr_name) for i in rows]
        return [self._shared(attr_name)] * len(rows)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of each chosen environment.

        Raises:
            EnvzooError: Only some were chosen, but the batch shares its attributes.
        """
        rows = list(self._get_indices(indices))
        copies = getattr(self.env.unwrapped, "envs", None)
        if copies is not None:
            for i in rows:
                copies[i].set_wrapper_attr(attr_name, value)
            return
        if len(set(rows)) < self.num_envs:
            raise EnvzooError(f"{attr_name} is shared by all {self.num_envs} episodes; set it for all of them")
        setattr(self.env.unwrapped, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of each chosen environment; a method of the whole batch is called once, its result repeated.

        Raises:
            AttributeError: The environment has no such method.
        """
        rows = list(self._get_indices(indices))
        copies = getattr(self.env.unwrapped, "envs", None)
        if copies is not None:
            return [copies[i].get_wrapper_attr(method_name)(*method_args, **method_kwargs) for i in rows]
        return [self._shared(method_name)(*method_args, **method_kwargs)] * len(rows)

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: Any = None) -> list[bool]:
        """Return whether each chosen environment has a wrapper; True for `Monitor`, whose statistics are kept here."""
        rows = list(self._get_indices(indices))
        copies = getattr(self.env.unwrapped, "envs", [None] * self.num_envs)
        return [issubclass(wrapper_class, Monitor) or _has_wrapper(copies[i], wrapper_class) for i in rows]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Render the episodes; needs `render_mode="rgb_array_each"`, or a single image is returned."""
        frames = self.env.render()
        return list(frames) if isinstance(frames, tuple | list) else [frames]

    def _shared(self, name: str) -> Any:
        """Return an attribute of the vector environment, or of the definition of its episodes."""
        base = self.env.unwrapped
        return getattr(base, name) if hasattr(base, name) else getattr(getattr(base, "definition", base), name)


def _make(env_id: str, num_envs: int, kwargs: dict[str, Any]) -> VectorEnv:
    """Make a vector environment that resets in the same step: by the compiled kernel, or one environment after another.

    (Gymnasium's own vector implementations reset in the next step.)
    """
    mode = AutoresetMode.SAME_STEP
    if has_kernel(gym.spec(env_id)):
        return gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=mode, **kwargs)
    return SyncVectorEnv([partial(gym.make, env_id, **kwargs)] * num_envs, autoreset_mode=mode)


def split_infos(infos: Mapping[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Turn the infos of a vector environment, arrays with masks, into one dict per episode."""
    rows: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for name, values in infos.items():
        mask = infos.get(f"_{name}")
        if mask is None:
            if name.startswith("_") and name[1:] in infos:
                continue  # the mask of another entry
            mask = np.ones(num_envs, bool)
        items: Iterator[Any] = iter(split_infos(values, num_envs) if isinstance(values, Mapping) else values)
        for row, item, present in zip(rows, items, mask.tolist(), strict=True):
            if present:
                row[name] = item
    return rows


def _has_wrapper(env: gym.Env | None, wrapper_class: type[gym.Wrapper]) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, wrapper_class):
            return True
        env = env.env
    return False
