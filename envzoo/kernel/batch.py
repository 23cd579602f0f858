"""Batch: the episodes behind single and vector environments, a struct of arrays stepped by the definition's kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError, ResetNeededError, UnsupportedSpaceError, shorten, unknown
from envzoo.kernel.arguments import check_seed, read_array
from envzoo.kernel.check import ActionCheck
from envzoo.kernel.definition import Allocator, Definition, episode_bytes
from envzoo.kernel.fixed_call import FixedCall
from envzoo.kernel.stream import keys
from envzoo.moved import former_names
from envzoo.sizes import check_bytes

# Fields of every episode in addition to the definition's; part of the captured state.
COMMON_FIELDS = ("streams", "elapsed", "needs_reset")


@njit(cache=True)
def _close_step(elapsed, where, limit, terminated, truncated, needs_reset):
    """Count the step, apply the time limit, mark ended episodes; returns the number of episodes that ended."""
    ended = 0
    for i in range(where.size):
        if where[i]:
            elapsed[i] += 1
            truncated[i] = elapsed[i] >= limit
            needs_reset[i] = terminated[i] or truncated[i]
            ended += needs_reset[i]
    return ended


def may_render(render_mode: str | None, started: bool, maker: str) -> bool:
    """Return whether there is something to render; warns if no render mode was passed to `maker`.

    Raises:
        ResetNeededError: Before the first reset.
    """
    if render_mode is None:
        gym.logger.warn(f"render was called without a render_mode; pass one to {maker}")
        return False
    if not started:
        raise ResetNeededError("render was called before the first reset; call reset first")
    return True


def render_episode(env: Any, batch: EpisodeBatch, maker: str) -> np.ndarray | str | None:
    """Render the only episode of a batch by the `render_mode` and `definition` of `env`; see `may_render`."""
    if not may_render(env.render_mode, batch.started, maker):
        return None
    episode = batch.episode(0)
    return env.definition.draw(episode) if env.render_mode == "rgb_array" else env.definition.describe(episode)


class EpisodeBatch:
    """`num_envs` episodes of one environment.

    `KernelEnv` and `KernelVectorEnv` are thin layers over this class; it is independent of the autoreset mode.

    Args:
        definition: The environment.
        num_envs: Number of episodes.
        max_episode_steps: Episodes are truncated after this many steps; None for no limit.

    Attributes:
        state: The definition's NamedTuple of arrays.
        streams: Random streams, uint64 (num_envs, 2).
        elapsed: Steps taken in the current episode, int64 (num_envs,).
        needs_reset: True where the episode has ended or was never started, bool (num_envs,).
        started: Whether every episode has been started (or restored) at least once.

    Raises:
        EnvzooError: num_envs or max_episode_steps is not a positive integer.
        UnsupportedSpaceError: The definition's spaces cannot be represented as arrays.
    """

    def __init__(self, definition: Definition, num_envs: int, max_episode_steps: int | None) -> None:
        for name, value in (("num_envs", num_envs), ("max_episode_steps", max_episode_steps)):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not (whole and value >= 1) and not (name == "max_episode_steps" and value is None):
                raise EnvzooError(f"{name} is {shorten(repr(value))}; expected a whole number of at least 1")
        if max_episode_steps is not None and max_episode_steps > np.iinfo(np.int64).max:
            raise EnvzooError(
                f"max_episode_steps is {max_episode_steps!r}; expected at most 2**63 - 1, or None for never"
            )
        name = type(definition).__name__
        check_bytes(num_envs * episode_bytes(definition), f"{num_envs} episode{'s' * (num_envs > 1)} of {name}")
        self.definition = definition
        self.num_envs = int(num_envs)
        self.state = Allocator(definition.state)(self.num_envs)
        self.streams = np.zeros((self.num_envs, 2), np.uint64)
        # Episodes without a seed are seeded by the operating system.
        self.streams[:, 0] = np.random.SeedSequence().generate_state(self.num_envs, np.uint64)
        self.elapsed = np.zeros(self.num_envs, np.int64)
        self.needs_reset = np.ones(self.num_envs, np.bool_)
        self.started = False
        self.everyone = np.ones(self.num_envs, np.bool_)
        self._limit = np.iinfo(np.int64).max if max_episode_steps is None else int(max_episode_steps)
        self._check_actions = ActionCheck(definition.action_space)
        self._new_infos = Allocator(definition.infos)
        self._info_names = [(name, "_" + name) for name in self._new_infos.names]
        self._new_observation, self._observation_shape, self._observation_dtype = None, (), None
        if isinstance(definition.observation_space, spaces.Dict):
            self._new_observation = Allocator(_dict_layout(definition))
        else:
            # Base and shape apart, because NumPy takes longer to make an array of a dtype that has a shape.
            dtype = _dtype_of(definition.observation_space)
            self._observation_shape, self._observation_dtype = (self.num_envs, *dtype.shape), dtype.base
        self._step, self._observe = FixedCall(definition.kernels.step), FixedCall(definition.kernels.observe)
        self._close = FixedCall(_close_step)
        self._no_options = definition.options({}, self.num_envs)

    # ---------------------------------------------------------------- moving

    def seed(self, seeds: Sequence[int | None], where: np.ndarray) -> None:
        """Seed the random streams of the episodes marked in `where`; a seed of None keeps the stream.

        Raises:
            EnvzooError: A seed is not a non-negative integer.
        """
        for i in np.flatnonzero(where):
            if seeds[i] is None:
                continue
            check_seed(seeds[i])
        chosen = np.array([i for i in np.flatnonzero(where) if seeds[i] is not None], np.int64)
        self.streams[chosen, 0] = keys(np.array([int(seeds[i]) % 2**64 for i in chosen], np.uint64))
        self.streams[chosen, 1] = 0

    def read_options(self, options: Mapping[str, Any] | None) -> tuple:
        """Convert the caller's reset options to those of the reset kernel.

        Raises:
            UnknownNameError: The environment does not have an option.
            EnvzooError: A value is invalid.
        """
        if options is None:
            return self._no_options
        check_options(options)
        if not options:
            return self._no_options
        for name in options:
            if name not in self.definition.option_names:
                raise unknown("reset option", name, self.definition.option_names)
            read_array(f"reset option {name}", options[name])
        return self.definition.options(options, self.num_envs)

    def reset(self, where: np.ndarray, infos: tuple, options: tuple | None = None) -> None:
        """Start the episodes marked in `where`; their infos are written to `infos`."""
        self.definition.kernels.reset(
            self.definition.parameters,
            self.state,
            self.streams,
            where,
            self._no_options if options is None else options,
            infos,
        )
        self.elapsed[where] = 0
        self.needs_reset[where] = False

    def check_actions(self, actions: Any) -> np.ndarray:
        """Convert actions to the array that the kernels take; see `ActionCheck`."""
        return self._check_actions(actions, self.num_envs)

    def step(
        self, actions: np.ndarray, where: np.ndarray, infos: tuple
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Take one step in the episodes marked in `where`.

        Returns:
            Rewards (num_envs,) float64, terminated and truncated (num_envs,) bool, all new arrays that are zero outside
            `where`, and the number of episodes that ended.
        """
        rewards = np.zeros(self.num_envs)
        terminated = np.zeros(self.num_envs, np.bool_)
        truncated = np.zeros(self.num_envs, np.bool_)
        definition = self.definition
        self._step(definition.parameters, self.state, self.streams, where, actions, rewards, terminated, infos)
        ended = self._close(self.elapsed, where, self._limit, terminated, truncated, self.needs_reset)
        return rewards, terminated, truncated, ended

    def require_started(self) -> None:
        """Raise ResetNeededError if an episode was never started."""
        if not self.started:
            raise ResetNeededError("step was called before the first reset; call reset first")

    # ------------------------------------------------------------ looking at

    def observe(self) -> np.ndarray | dict[str, np.ndarray]:
        """Return the current observations, new arrays (num_envs, ...)."""
        definition = self.definition
        if self._new_observation is not None:
            observation = self._new_observation(self.num_envs)
            self._observe(definition.parameters, self.state, observation)
            return dict(zip(observation._fields, observation, strict=True))
        observation = np.zeros(self._observation_shape, self._observation_dtype)
        self._observe(definition.parameters, self.state, observation)
        return observation

    def new_infos(self) -> tuple:
        """Return new arrays for the infos of one reset or step."""
        return self._new_infos(self.num_envs)

    def info_dict(self, infos: tuple, where: np.ndarray | None = None) -> dict[str, Any]:
        """Return infos in the format of Gymnasium's vector environments: each array with its mask `_name`."""
        result: dict[str, Any] = {}
        marked = self.everyone if where is None else where
        for (name, mask), array in zip(self._info_names, infos, strict=True):
            result[name], result[mask] = array, marked.copy()
        return result

    def episode(self, i: int) -> tuple:
        """Return the state of episode i: the definition's NamedTuple with unbatched fields (views)."""
        return type(self.state)._make(array[i] for array in self.state)

    # --------------------------------------------------- capture and restore

    def get_state(self, indices: Any = None) -> dict[str, np.ndarray]:
        """Return copies of the complete state of the chosen episodes; the leading dimension is their number.

        Args:
            indices: Indices of episodes; None for all.

        Raises:
            EnvzooError: An index is out of range.
        """
        rows = self._rows(indices)
        return {name: array[rows].copy() for name, array in self._fields().items()}

    def set_state(self, state: Mapping[str, np.ndarray], indices: Any = None) -> None:
        """Restore a state returned by `get_state`; the state of a single episode is copied to every chosen one.

        Raises:
            EnvzooError: A field is missing, unknown, or has the wrong shape or dtype; nothing is changed in that case.
        """
        rows = self._rows(indices)
        fields = self._fields()
        if not isinstance(state, Mapping):
            raise EnvzooError(f"the state is a {type(state).__name__}; expected the dict that get_state returns")
        for name in state:
            if name not in fields:
                raise unknown("field of the state", name, fields)
        lengths = set()
        for name, array in fields.items():
            if name not in state:
                raise EnvzooError(f"the state has no field {name!r}; expected {', '.join(fields)}")
            given = read_array(f"field {name!r} of the state", state[name])
            if given.dtype != array.dtype or given.shape[1:] != array.shape[1:] or given.ndim != array.ndim:
                raise EnvzooError(
                    f"field {name!r} of the state is {given.dtype} of shape {given.shape}; expected {array.dtype} of "
                    f"shape {('episodes', *array.shape[1:])}".replace("'", "")
                )
            lengths.add(len(given))
        if lengths - {1} and lengths != {len(rows)}:
            raise EnvzooError(
                f"the state holds {' and '.join(map(str, sorted(lengths)))} episodes; expected {len(rows)}, or 1 to be "
                "copied to all"
            )
        self._check_limits(state)
        for name, array in fields.items():
            array[rows] = state[name]
        # Restoring every episode counts as a reset; restoring some does not affect the others.
        self.started = self.started or len(np.unique(rows)) == self.num_envs

    def _check_limits(self, state: Mapping[str, np.ndarray]) -> None:
        """Reject values with which a kernel would index outside its arrays."""
        definition = self.definition
        running = ~np.asarray(state["needs_reset"])
        for limits, where in ((definition.limits, slice(None)), (definition.running_limits, running)):
            for name, (low, high) in limits.items():
                # The state of a single episode may be combined with flags of several, and vice versa.
                values, _ = np.broadcast_arrays(state[name], running.reshape(-1, *[1] * (np.ndim(state[name]) - 1)))
                if not ((values[where] >= low) & (values[where] <= high)).all():
                    raise EnvzooError(
                        f"field {name!r} of the state has values out of range; expected {_short(low)} to {_short(high)}"
                    )
        if (np.asarray(state["elapsed"]) < 0).any():
            raise EnvzooError("field 'elapsed' of the state is negative; expected a number of steps")

    def _fields(self) -> dict[str, np.ndarray]:
        own = {} if not self.state else self.state._asdict()
        return {**own, **{name: getattr(self, name) for name in COMMON_FIELDS}}

    def _rows(self, indices: Any) -> np.ndarray:
        if indices is None:
            return np.arange(self.num_envs)
        rows = np.atleast_1d(np.asarray(indices))
        if rows.dtype == np.bool_ and rows.shape == (self.num_envs,):
            rows = np.flatnonzero(rows)
        if (
            rows.ndim != 1
            or rows.dtype.kind not in "iu"
            or (rows.size and not (0 <= rows.min() <= rows.max() < self.num_envs))
        ):
            raise EnvzooError(
                f"indices {indices!r} are not usable; expected episode numbers from 0 to {self.num_envs - 1}"
            )
        return rows


def _short(limit: Any) -> str:
    return " ".join(str(np.asarray(limit)).split())


def check_options(options: Any) -> None:
    """Raise EnvzooError unless reset options are a dict or None."""
    if options is not None and not isinstance(options, Mapping):
        raise EnvzooError(f"options is {options!r}; expected a dict of reset options, or None")


def _dict_layout(definition: Definition) -> tuple:
    """Return the definition's NamedTuple of dtypes for one observation of its Dict space."""
    space, layout = definition.observation_space, definition.observation_type
    if layout is None or set(layout._fields) != set(space.spaces):
        raise UnsupportedSpaceError(
            f"{type(definition).__name__}.observation_type must be a NamedTuple with the fields "
            f"{', '.join(space.spaces)}"
        )
    return layout(**{name: _dtype_of(part) for name, part in space.spaces.items()})


def _dtype_of(space: spaces.Space) -> np.dtype:
    if not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise UnsupportedSpaceError(
            f"observation space {space} is not supported by the kernel base; expected Box, Discrete, MultiDiscrete, "
            "MultiBinary or a flat Dict of these"
        )
    return np.dtype((space.dtype, space.shape))


__getattr__ = former_names(__name__, {"Batch": f"{__name__}:EpisodeBatch"})
