"""Definition of an environment: spaces, the layout of the state, and three Numba kernels."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from envzoo.errors import EnvzooError, unknown

KEPT = 64  # bytes per episode of random stream, step count, flags and rewards


class Kernels(NamedTuple):
    """Batch kernels of an environment: module-level `@njit(cache=True)` functions.

    In all of them `where` is a bool array (num_envs,): only the episodes marked True are modified. `parameters` is the
    definition's; `state` and `infos` are NamedTuples of arrays with leading dimension num_envs; `streams` are the
    random streams (see `envzoo.kernel.stream`).

    Attributes:
        reset: `reset(parameters, state, streams, where, options, infos)` starts episodes. It must write every state
            field and every info of these episodes.
        step: `step(parameters, state, streams, where, actions, rewards, terminated, infos)` takes one step. `rewards`
            (num_envs,) float64 and `terminated` (num_envs,) bool are initially zero. Time limits are handled elsewhere.
        observe: `observe(parameters, state, observation)` writes the observations of all episodes to `observation`:
            an array with leading dimension num_envs, or for a Dict space the definition's NamedTuple of such arrays.
            It draws no random numbers, so it can be called any number of times.
    """

    reset: Callable[..., None]
    step: Callable[..., None]
    observe: Callable[..., None]


class Definition:
    """Definition of an environment; subclass it and set the attributes below in `__init__`.

    The layouts `state` and `infos` are instances of NamedTuple classes defined by the author (at module level, so that
    Numba can cache the compiled kernels) that hold a NumPy dtype in place of each array of the kernels:
    `State(cell=np.int64, covered=(np.bool_, (100,)))` gives arrays of shapes (num_envs,) and (num_envs, 100).

    Attributes:
        observation_space: Space of one episode: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these.
        action_space: Space of one action: Discrete, MultiDiscrete, MultiBinary (optionally with a limit on the number
            of ones, see `envzoo.kernel.spaces`) or Box. The kernels receive int64 for the first two (the `start` of a
            Discrete is not subtracted), int8 for MultiBinary and the dtype of the Box otherwise.
        kernels: The three kernels.
        parameters: A NamedTuple of scalars and arrays shared by all episodes; read-only for the kernels.
        state: Layout of one episode's state.
        infos: Layout of the infos of every reset and step; scalars must be float64, int64 or bool, so that single
            environments can return them as plain Python numbers. `()` if there are none.
        observation_type: For a Dict space, the NamedTuple class whose fields are the keys of the Dict.
        limits: Smallest and largest value of state fields (numbers, or arrays of the field's shape). A restored state
            outside the limits is refused: the kernels index arrays without bounds checks, and a state may come from an
            untrusted file, so every field used as an index needs limits.
        running_limits: Narrower limits for episodes that have not ended, which the step kernel will process.
        option_names: Names of the options of `reset(options=...)`.
        render_fps: Frames per second for rendering.
    """

    observation_space: gym.Space
    action_space: gym.Space
    kernels: Kernels
    parameters: tuple
    state: tuple
    infos: tuple = ()
    observation_type: type | None = None
    limits: Mapping[str, tuple[Any, Any]] = MappingProxyType({})
    running_limits: Mapping[str, tuple[Any, Any]] = MappingProxyType({})
    option_names: tuple[str, ...] = ()
    render_fps: int = 5

    def options(self, given: Mapping[str, Any], num_envs: int) -> tuple:
        """Convert the options of `reset` to the NamedTuple of arrays (num_envs, ...) that the reset kernel takes.

        Args:
            given: The options passed to `reset`, with names already checked against `option_names`; empty for a plain
                or automatic reset, for which every field must take its default value.
            num_envs: Number of episodes.

        Raises:
            EnvzooError: A value is invalid.
        """
        return ()

    def draw(self, state: tuple) -> np.ndarray:
        """Render one episode as an RGB image, uint8 (height, width, 3); `state` holds its fields, unbatched."""
        raise EnvzooError(f"{type(self).__name__} does not support image rendering")

    def describe(self, state: tuple) -> str:
        """Render one episode as text, for the render mode "ansi"; `state` as in `draw`."""
        raise EnvzooError(f"{type(self).__name__} does not support text rendering")


def build(definition_class: type[Definition], parameters: Mapping[str, Any]) -> Definition:
    """Build the definition from keyword arguments; unknown ones are rejected by name.

    Raises:
        UnknownNameError: A keyword is not an argument of the environment.
        EnvzooError: A value is invalid.
    """
    known = [name for name in inspect.signature(definition_class.__init__).parameters if name != "self"]
    for name in parameters:
        if name not in known:
            raise unknown(f"argument of {definition_class.__name__}", name, known)
    return definition_class(**parameters)


def layout_bytes(layout: tuple) -> int:
    """Compute the bytes that one episode takes in a layout of dtypes (see `Definition`), without allocating."""
    total = 0
    for dtype in layout:
        base, shape = dtype if isinstance(dtype, tuple) else (dtype, ())
        total += np.dtype(base).itemsize * math.prod(shape if isinstance(shape, tuple | list) else (shape,))
    return total


def episode_bytes(definition: Definition) -> int:
    """Compute the bytes that an episode takes in a batch: state, infos, action, bookkeeping and observation.

    Observations count three times: the previous one is still in use while one is created, and spaces hold bounds.
    """
    shown = definition.observation_space
    parts = shown.spaces.values() if isinstance(shown, gym.spaces.Dict) else (shown,)
    spaces = [definition.action_space, *parts, *parts, *parts]
    seen = sum(np.dtype(space.dtype).itemsize * math.prod(space.shape or ()) for space in spaces)
    return layout_bytes(definition.state) + layout_bytes(definition.infos) + seen + KEPT


class Allocator:
    """Allocates arrays for a layout of dtypes.

    Args:
        layout: A NamedTuple of dtypes (see `Definition`), or `()`.
    """

    def __init__(self, layout: tuple) -> None:
        self.names: tuple[str, ...] = getattr(layout, "_fields", ())
        self._make = type(layout)._make if layout else tuple
        # Bases and shapes apart, because NumPy takes longer to make an array of a dtype that has a shape.
        kinds = list(map(np.dtype, layout))
        self._bases, self._shapes = [dtype.base for dtype in kinds], [dtype.shape for dtype in kinds]
        self._num_envs, self._batched = 0, [(0, *shape) for shape in self._shapes]  # shapes of the last call

    def __call__(self, num_envs: int) -> tuple:
        """Return zeroed arrays (num_envs, ...) in the layout's NamedTuple class."""
        if num_envs != self._num_envs:
            self._num_envs, self._batched = num_envs, [(num_envs, *shape) for shape in self._shapes]
        return self._make(map(np.zeros, self._batched, self._bases))
