"""What an environment's author writes: spaces, the layout of the state, and three Numba kernels."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from envzoo.errors import EnvzooError, unknown

KEPT = 64  # bytes of random stream, step count, flags and rewards of an episode


class Kernels(NamedTuple):
    """The three batch kernels of an environment: module-level `@njit(cache=True)` functions.

    In all of them `where` is a bool array (num_envs,): only the episodes marked True are touched. `parameters` is the
    definition's, `state` and `infos` are NamedTuples of arrays with leading dimension num_envs, `streams` are the
    random streams (see `envzoo.kernel.stream`).

    Attributes:
        reset: `reset(parameters, state, streams, where, options, infos)` starts episodes. It must write every state
            field and every info of the episodes it touches.
        step: `step(parameters, state, streams, where, actions, rewards, terminated, infos)` takes one step. `rewards`
            (num_envs,) float64 and `terminated` (num_envs,) bool come in as zeros. Time limits are not its business.
        observe: `observe(parameters, state, observation)` writes the observations of all episodes into `observation`:
            an array with leading dimension num_envs, or for a Dict space the definition's NamedTuple of such arrays.
            It draws no random numbers, so that it can be asked any number of times.
    """

    reset: Callable[..., None]
    step: Callable[..., None]
    observe: Callable[..., None]


class Definition:
    """One environment, before it is given a face: subclass it, and set the attributes below in `__init__`.

    The layouts `state` and `infos` are instances of the author's own NamedTuple classes (defined at module level, so
    that Numba can cache the compiled kernels) which hold a NumPy dtype where the kernels will find an array:
    `State(cell=np.int64, covered=(np.bool_, (100,)))` gives arrays of shapes (num_envs,) and (num_envs, 100).

    Attributes:
        observation_space: Space of one episode: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these.
        action_space: Space of one action: Discrete, MultiDiscrete, MultiBinary (also with a limit on the ones, see
            `envzoo.kernel.spaces`) or Box. The kernels receive int64 for the first two (a Discrete's `start` is not
            subtracted), int8 for MultiBinary and the Box's dtype otherwise.
        kernels: The three kernels.
        parameters: A NamedTuple of scalars and arrays that all episodes share; the kernels only read it.
        state: Layout of one episode's state.
        infos: Layout of what `info` holds after every reset and step; scalars must be float64, int64 or bool, so that
            the single face can give them as plain Python numbers. `()` when there are none.
        observation_type: For a Dict space, the NamedTuple class whose fields are the Dict's keys.
        limits: For state fields, the least and the largest value (numbers, or arrays of the field's shape). A restored
            state outside them is refused: the kernels index arrays without checks, and a state may come out of a
            stranger's file, so every field that reaches an index needs its limits.
        running_limits: Narrower limits for episodes that have not ended, which the step kernel will touch.
        option_names: Names that `reset(options=...)` understands.
        render_fps: Frames per second at which an episode looks right.
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
        """The NamedTuple of arrays (num_envs, ...) that the reset kernel gets as `options`.

        Args:
            given: What the caller passed to `reset`, names already checked against `option_names`; empty for a plain
                or automatic reset, when every field must take its "nothing asked" value.
            num_envs: Number of episodes.

        Raises:
            EnvzooError: When a value is not usable.
        """
        return ()

    def draw(self, state: tuple) -> np.ndarray:
        """An RGB image, uint8 (height, width, 3), of one episode; `state` holds that episode's fields, unbatched."""
        raise EnvzooError(f"{type(self).__name__} cannot be drawn")

    def describe(self, state: tuple) -> str:
        """A text picture of one episode, for the `ansi` render mode; `state` as in `draw`."""
        raise EnvzooError(f"{type(self).__name__} has no text picture")


def build(definition_class: type[Definition], parameters: Mapping[str, Any]) -> Definition:
    """The definition with the user's keyword arguments, unknown ones refused by name.

    Raises:
        UnknownNameError: When a keyword is not one of the environment's.
        EnvzooError: From the definition, when a value is not usable.
    """
    known = [name for name in inspect.signature(definition_class.__init__).parameters if name != "self"]
    for name in parameters:
        if name not in known:
            raise unknown(f"argument of {definition_class.__name__}", name, known)
    return definition_class(**parameters)


def layout_bytes(layout: tuple) -> int:
    """Bytes that one episode takes in a layout of dtypes (see `Definition`), counted without making anything."""
    total = 0
    for dtype in layout:
        base, shape = dtype if isinstance(dtype, tuple) else (dtype, ())
        total += np.dtype(base).itemsize * math.prod(shape if isinstance(shape, tuple | list) else (shape,))
    return total


def episode_bytes(definition: Definition) -> int:
    """Bytes that an episode takes in a batch: state, infos, action, what the batch keeps of it, and its observation.

    Observations are counted thrice: as one is made, the one before it is still in use, and spaces hold bounds.
    """
    shown = definition.observation_space
    parts = shown.spaces.values() if isinstance(shown, gym.spaces.Dict) else (shown,)
    spaces = [definition.action_space, *parts, *parts, *parts]
    seen = sum(np.dtype(space.dtype).itemsize * math.prod(space.shape or ()) for space in spaces)
    return layout_bytes(definition.state) + layout_bytes(definition.infos) + seen + KEPT


class Allocator:
    """Makes fresh arrays for a layout of dtypes.

    Args:
        layout: A NamedTuple of dtypes (see `Definition`), or `()`.
    """

    def __init__(self, layout: tuple) -> None:
        self.names: tuple[str, ...] = getattr(layout, "_fields", ())
        self._make = type(layout)._make if layout else tuple
        self._dtypes = [np.dtype(dtype) for dtype in layout]

    def __call__(self, num_envs: int) -> tuple:
        """Zeroed arrays (num_envs, ...) in the layout's NamedTuple class."""
        return self._make([np.zeros(num_envs, dtype) for dtype in self._dtypes])
