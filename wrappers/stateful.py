"""Base classes of wrappers that keep state for every episode: single and vector version, with capture and restore."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from envzoo.errors import EnvzooError, UnsupportedSpaceError, unknown
from envzoo.kernel.batch import check_options
from envzoo.moved import former_names

_ONE = np.ones(1, np.bool_)


class Tracker:
    """Per-episode state of a wrapper, and its effect on observations, rewards and infos.

    A tracker is independent of the autoreset mode. A subclass takes `(space, num_envs, ...)`: the observation space of
    one episode, B, and its own arguments.

    Attributes:
        name: Name of the wrapper, the prefix of its fields in captured states.
        arrays: The state: arrays (B, ...), changed in place.
        info_keys: Keys of `info` that the tracker reads.
        space: Observation space of one episode after the wrapper.
    """

    name: ClassVar[str]
    arrays: dict[str, np.ndarray]
    info_keys: tuple[str, ...] = ()
    space: spaces.Space

    @classmethod
    def defaults(cls, env: Any) -> dict[str, Any]:
        """Return defaults, taken from the single or vector environment, for arguments that the user does not give."""
        return {}

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Initialise the episodes marked in `where`, bool (B,), which have just been reset."""
        raise NotImplementedError

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> np.ndarray | None:
        """Update the episodes marked in `where` after a step; returns rewards (B,) that replace theirs, or None."""
        raise NotImplementedError

    def reward(self, where: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """Transform the rewards (B,) of the episodes just stepped; called after `advance`."""
        return rewards

    def extend(self, observation: Any, rows: Any) -> Any:
        """Extend an observation, of the whole batch (`rows` a slice) or of one episode (`rows` an int)."""
        return observation

    def infos(self) -> dict[str, np.ndarray]:
        """Return new arrays (B,) to be added to `info`."""
        return {}


def capturable(env: Any) -> Any:
    """Return the outermost layer of an environment whose `get_state` and `set_state` cover all layers below it.

    Wrappers of this package have both methods; others (such as Gymnasium's TimeLimit) are skipped, so their state is
    not captured.

    Returns:
        That layer, or None if the environment cannot capture its state.
    """
    if not isinstance(env, gym.Env | VectorEnv):
        raise EnvzooError(f"env is a {type(env).__name__}; expected an environment or a vector environment")
    if not (hasattr(env.unwrapped, "get_state") and hasattr(env.unwrapped, "set_state")):
        return None
    while not (hasattr(env, "get_state") and hasattr(env, "set_state")):
        env = env.env
    return env


def time_limit(env: Any) -> int | None:
    """Return the time limit of a single or vector environment in steps, or None if it has none."""
    spec = env.spec
    if spec is not None:
        # gymnasium.make_vec keeps a requested limit among the keyword arguments.
        return spec.kwargs.get("max_episode_steps", spec.max_episode_steps)
    copies = getattr(env.unwrapped, "envs", None)  # Gymnasium's vector environments, made from a list of functions
    return time_limit(copies[0]) if copies else None


class _Stateful:
    """Base of the single and the vector wrapper: holds the tracker and its part of the captured state."""

    tracker_class: ClassVar[type[Tracker]]
    tracker: Tracker
    arguments: dict[str, Any]  # of the tracker, by name, including those taken from the environment

    def _remember(self, env: Any, space: spaces.Space, num_envs: int, args: tuple, kwargs: dict) -> dict[str, Any]:
        """Build the tracker; returns its arguments by name."""
        signature = inspect.signature(self.tracker_class)
        names = list(signature.parameters)[2:]
        for name in kwargs:
            if name not in names:
                raise unknown(f"argument of {type(self).__name__}", name, names)
        try:
            bound = signature.bind(space, num_envs, *args, **kwargs).arguments
        except TypeError as error:  # too many, one missing, or one given twice
            raise EnvzooError(f"{type(self).__name__} takes the arguments env, {', '.join(names)} ({error})") from None
        given = self.tracker_class.defaults(env) | {name: bound[name] for name in names if name in bound}
        self.arguments = given
        try:
            self.tracker = self.tracker_class(space, num_envs, **given)
        except MemoryError as error:
            raise EnvzooError(f"{type(self).__name__} cannot allocate its state ({error})") from None
        self._ended = np.zeros(num_envs, np.bool_)
        below = [layer for layer in _layers(env) if getattr(layer, "tracker_class", None) is self.tracker_class]
        self._prefix = self.tracker.name + (str(len(below) + 1) if below else "") + "/"
        return given

    def _fields(self) -> dict[str, np.ndarray]:
        arrays = {**self.tracker.arrays, "ended": self._ended}
        return {self._prefix + name: array for name, array in arrays.items()}

    def _inner(self) -> Any:
        inner = capturable(self.env)
        if inner is None:
            raise EnvzooError(f"{self.env.unwrapped} cannot capture its state: it has no get_state and set_state")
        return inner

    def get_memory(self) -> dict[str, np.ndarray]:
        """Return copies of the wrapper's own state, each array with leading dimension B."""
        return {name: array.copy() for name, array in self._fields().items()}

    def set_memory(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the result of `get_memory` for the same number of episodes; raises EnvzooError if it does not fit."""
        _, own = self._split(state)
        for name, array in self._fields().items():
            if own[name].shape != array.shape:
                raise EnvzooError(f"field {name!r} of the state holds {len(own[name])} episodes, not {len(array)}")
        for name, array in self._fields().items():
            array[:] = own[name]

    def _split(self, state: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Split a captured state into the inner environment's part and the wrapper's own, validating the latter."""
        if not isinstance(state, Mapping):
            raise EnvzooError(f"the state is a {type(state).__name__}; expected the dict that get_state returns")
        for name, array in state.items():
            if np.ndim(array) == 0:
                raise EnvzooError(f"field {name!r} of the state is a single value; expected an array (episodes, ...)")
        fields = self._fields()
        inner = {name: array for name, array in state.items() if name not in fields}
        own = {name: np.asarray(array) for name, array in state.items() if name in fields}
        lengths = {len(array) for array in state.values()}
        for name, array in fields.items():
            if name not in own:
                raise EnvzooError(f"the state has no field {name!r}; expected the dict that get_state returns")
            if own[name].dtype != array.dtype or own[name].shape[1:] != array.shape[1:] or len(lengths) > 1:
                raise EnvzooError(
                    f"field {name!r} of the state is {own[name].dtype} of shape {own[name].shape}; expected "
                    f"{array.dtype} of shape (episodes, {', '.join(map(str, array.shape[1:]))})"
                )
        return inner, own


class StatefulWrapper(gym.Wrapper, RecordConstructorArgs, _Stateful):
    """Base of wrappers for single environments; a subclass sets `tracker_class`, whose arguments it takes.

    Args:
        env: The environment.
        *args: Arguments of the tracker.
        **kwargs: The same by name.

    Raises:
        UnknownNameError: An argument is unknown.
        UnsupportedSpaceError: `env` is not an environment, or is a vector environment.
        EnvzooError: An argument is missing, or the tracker rejects one.
    """

    def __init__(self, env: gym.Env, *args: Any, **kwargs: Any) -> None:
        if not isinstance(env, gym.Env):
            other = f"; Vector{type(self).__name__} wraps a vector environment" if isinstance(env, VectorEnv) else ""
            raise UnsupportedSpaceError(
                f"{type(self).__name__} wraps a gymnasium.Env, got a {type(env).__name__}{other}"
            )
        given = self._remember(env, env.observation_space, 1, args, kwargs)
        RecordConstructorArgs.__init__(self, _disable_deepcopy=True, **given)
        gym.Wrapper.__init__(self, env)
        self.observation_space = self.tracker.space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; raises EnvzooError if an input of the tracker is missing."""
        check_options(options)
        observation, info = self.env.reset(seed=seed, options=options)
        self.tracker.start(_ONE, _lift(observation), self._read(info))
        self._ended[0] = False
        return self.tracker.extend(observation, 0), self._with_own(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take one step; raises EnvzooError if an input of the tracker is missing."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        rewards = self.tracker.advance(_ONE, _lift(observation), self._read(info))
        self._ended[0] = terminated or truncated
        rewards = self.tracker.reward(_ONE, np.array([reward], np.float64) if rewards is None else rewards)
        reward = rewards.item()
        return self.tracker.extend(observation, 0), reward, terminated, truncated, self._with_own(info)

    def get_state(self) -> dict[str, np.ndarray]:
        """Return the state of the inner environment and the wrapper; each array has a leading dimension of 1.

        Raises:
            EnvzooError: The environment cannot capture its state.
        """
        return self._inner().get_state() | {name: array.copy() for name, array in self._fields().items()}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state returned by `get_state` of this wrapper or, for one episode, of its vector version.

        Raises:
            EnvzooError: The state does not fit; nothing is changed in that case.
        """
        inner, own = self._split(state)
        self._inner().set_state(inner)
        for name, array in self._fields().items():
            array[:] = own[name]

    def _read(self, info: dict[str, Any]) -> dict[str, np.ndarray]:
        # If a key is missing, the whole info is passed on, so that the tracker's error can list the keys present.
        missing = any(name not in info for name in self.tracker.info_keys)
        return info if missing else {name: np.asarray(info[name])[None] for name in self.tracker.info_keys}

    def _with_own(self, info: dict[str, Any]) -> dict[str, Any]:
        return {**info, **{name: array.item() for name, array in self.tracker.infos().items()}}


class StatefulVectorWrapper(VectorWrapper, _Stateful):
    """Base of wrappers for vector environments, in the autoreset modes NEXT_STEP, SAME_STEP and DISABLED.

    Arguments and errors are those of `StatefulWrapper`.
    """

    def __init__(self, env: VectorEnv, *args: Any, **kwargs: Any) -> None:
        if not isinstance(env, VectorEnv):
            single = type(self).__name__.removeprefix("Vector")
            other = f"; {single} wraps a single environment" if isinstance(env, gym.Env) else ""
            raise UnsupportedSpaceError(
                f"{type(self).__name__} wraps a gymnasium.vector.VectorEnv, got a {type(env).__name__}{other}"
            )
        super().__init__(env)
        self._remember(env, env.single_observation_space, env.num_envs, args, kwargs)
        self.single_observation_space = self.tracker.space
        self.observation_space = batch_space(self.tracker.space, env.num_envs)
        self._mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start all episodes, or those marked in `options["reset_mask"]`."""
        check_options(options)
        mask = (options or {}).get("reset_mask")
        observation, infos = self.env.reset(seed=seed, options=options)
        where = np.ones(self.num_envs, np.bool_) if mask is None else mask.copy()
        self.tracker.start(where, observation, infos)
        self._ended[where] = False
        return self.tracker.extend(observation, slice(None)), self._with_own(infos, where)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one step in every episode; episodes that the inner environment resets are initialised again."""
        observation, rewards, terminated, truncated, infos = self.env.step(actions)
        done = terminated | truncated
        everyone = np.ones(self.num_envs, np.bool_)
        if self._mode is AutoresetMode.SAME_STEP and done.any():
            replaced = self.tracker.advance(everyone, *_last(observation, infos, done, self.tracker.info_keys))
            rewards = self.tracker.reward(everyone, rewards if replaced is None else replaced)
            infos = self._with_final(infos, done)
            self.tracker.start(done, observation, infos)
        else:
            fresh = self._ended.copy() if self._mode is AutoresetMode.NEXT_STEP else ~everyone
            replaced = self.tracker.advance(~fresh, observation, infos)
            rewards = self.tracker.reward(~fresh, rewards if replaced is None else replaced)
            if fresh.any():
                self.tracker.start(fresh, observation, infos)
            self._ended[:] = done
        observation = self.tracker.extend(observation, slice(None))
        return observation, rewards, terminated, truncated, self._with_own(infos, everyone)

    def get_state(self, indices: Any = None) -> dict[str, np.ndarray]:
        """Return the state of the inner environment and the wrapper for the chosen episodes (None: all).

        Raises:
            EnvzooError: The environment cannot capture its state, or an index is out of range.
        """
        inner = self._inner().get_state(indices)
        rows = self._rows(indices)
        return inner | {name: array[rows].copy() for name, array in self._fields().items()}

    def set_state(self, state: Mapping[str, np.ndarray], indices: Any = None) -> None:
        """Restore a state returned by `get_state`; the state of a single episode is copied to every chosen one.

        Raises:
            EnvzooError: The state does not fit, or an index is out of range; nothing is changed in that case.
        """
        inner, own = self._split(state)
        self._inner().set_state(inner, indices)
        rows = self._rows(indices)
        for name, array in self._fields().items():
            array[rows] = own[name]

    def _rows(self, indices: Any) -> np.ndarray:
        return np.atleast_1d(np.arange(self.num_envs)[slice(None) if indices is None else np.asarray(indices)])

    def _with_own(self, infos: dict[str, Any], where: np.ndarray) -> dict[str, Any]:
        own = self.tracker.infos()
        return {**infos, **own, **{"_" + name: where.copy() for name in own}}

    def _with_final(self, infos: dict[str, Any], done: np.ndarray) -> dict[str, Any]:
        """Return infos whose final observations and infos include the tracker's additions to the ended episodes."""
        final_obs = infos["final_obs"].copy()
        for i in np.flatnonzero(done):
            final_obs[i] = self.tracker.extend(final_obs[i], int(i))
        return {**infos, "final_obs": final_obs, "final_info": self._with_own(infos.get("final_info", {}), done)}


def _layers(env: Any):
    while True:
        yield env
        if env is env.unwrapped:
            return
        env = env.env


def _lift(observation: Any) -> Any:
    """Convert an observation to a batch of one."""
    if isinstance(observation, Mapping):
        return {name: _lift(part) for name, part in observation.items()}
    if isinstance(observation, tuple):
        return tuple(_lift(part) for part in observation)
    return np.asarray(observation)[None]


def _last(observation: Any, infos: dict[str, Any], done: np.ndarray, info_keys: tuple[str, ...]) -> tuple[Any, dict]:
    """Return observations and infos of the step itself: those from before the reset where an episode ended."""
    merged, final = {}, infos.get("final_info", {})
    for name in info_keys:
        if name in final:
            merged[name] = np.array(infos.get(name, final[name]))
            merged[name][done] = final[name][done]
            mask = infos.get("_" + name, done)
            merged["_" + name] = np.where(done, final.get("_" + name, done), mask)
    return _replace(observation, list(infos["final_obs"][done]), done), merged


def _replace(observation: Any, rows: list, where: np.ndarray) -> Any:
    if isinstance(observation, Mapping):
        return {name: _replace(part, [row[name] for row in rows], where) for name, part in observation.items()}
    if isinstance(observation, tuple):
        return tuple(_replace(part, [row[k] for row in rows], where) for k, part in enumerate(observation))
    replaced = np.array(observation)
    replaced[where] = np.stack(rows)
    return replaced


__getattr__ = former_names(
    __name__,
    {
        "TrackingWrapper": f"{__name__}:StatefulWrapper",
        "VectorTrackingWrapper": f"{__name__}:StatefulVectorWrapper",
    },
)
