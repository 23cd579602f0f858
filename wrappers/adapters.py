"""States of environments that have no `get_state` and `set_state`: adapters by class, and states of generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class StateAdapter(NamedTuple):
    """How the state of an environment of some class is read and written."""

    get_state: Callable[[Any], dict[str, Any]]
    set_state: Callable[[Any, Mapping[str, Any]], None]


_ADAPTERS: dict[str, StateAdapter] = {}


def register_state_adapter(
    cls: type | str,
    get_state: Callable[[Any], dict[str, Any]],
    set_state: Callable[[Any, Mapping[str, Any]], None],
) -> None:
    """Teach exact resume to capture environments or wrappers of a class that has no `get_state` and `set_state`.

    The adapter of a vector environment must cover everything that decides how its episodes go on, the generator
    included. The adapter of a single environment or wrapper must cover what lasts from one episode to the next
    (the position in a curriculum, running statistics, the state of a simulator's own generator); it is read before each
    reset, and written before an episode is replayed.

    Args:
        cls: The class, not its subclasses, or its entry point "module:Class", which is not imported.
        get_state: Takes the environment, returns a dict of arrays, numbers, strings, lists and dicts; copies, since
            they are kept while the environment goes on.
        set_state: Takes an equal environment and such a dict; raises ValueError if it does not fit.
    """
    _ADAPTERS[cls if isinstance(cls, str) else entry_point(cls)] = StateAdapter(get_state, set_state)


def entry_point(cls: type) -> str:
    """The entry point "module:Class" of a class."""
    return f"{cls.__module__}:{cls.__qualname__}"


def adapter_of(env: Any) -> StateAdapter | None:
    """The adapter registered for the class of an environment or wrapper."""
    return _ADAPTERS.get(entry_point(type(env)))


def has_adapter(entry: Any) -> bool:
    """Whether the class that a specification names, as a string or itself, has an adapter."""
    return (entry if isinstance(entry, str) else entry_point(entry) if isinstance(entry, type) else "") in _ADAPTERS


# ---------------------------------------------------------------------- random generators

# Fields of a bit generator's state that index memory, with their largest value: NumPy does not check them.
_POSITIONS = {
    "PCG64": {},
    "PCG64DXSM": {},
    "SFC64": {},
    "MT19937": {("state", "pos"): 624},
    "Philox": {("buffer_pos",): 4},
}


def generator_state(generator: np.random.Generator) -> dict[str, Any] | None:
    """The state of a generator as plain values and arrays; None for a bit generator that NumPy does not bring along."""
    state = generator.bit_generator.state
    return state if isinstance(state, dict) and state.get("bit_generator") in _POSITIONS else None


def set_generator_state(generator: np.random.Generator, state: Any) -> None:
    """Write a state that `generator_state` gave, perhaps read from a file.

    Raises:
        ValueError: The state is of another bit generator, or is none at all.
    """
    mine = generator_state(generator)
    if mine is None or not _alike(mine, state) or mine["bit_generator"] != state["bit_generator"]:
        raise ValueError(f"the state of a generator is no state of {type(generator.bit_generator).__name__}")
    for path, most in _POSITIONS[mine["bit_generator"]].items():
        position = state
        for name in path:
            position = position[name]
        if position > most:
            raise ValueError(f"the state of a generator has the position {position}, which is more than {most}")
    try:
        generator.bit_generator.state = state
    except (TypeError, ValueError, OverflowError, LookupError) as error:
        raise ValueError(f"the state of a generator cannot be used ({error})") from error


def _alike(mine: Any, given: Any) -> bool:
    """Whether a tree has the form of another: equal keys, strings, natural numbers, and arrays of equal shape."""
    if isinstance(mine, dict):
        return isinstance(given, dict) and mine.keys() == given.keys() and all(_alike(mine[k], given[k]) for k in mine)
    if isinstance(mine, np.ndarray):
        return isinstance(given, np.ndarray) and (mine.shape, mine.dtype) == (given.shape, given.dtype)
    if isinstance(mine, str):
        return isinstance(given, str)
    return isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**128


# ---------------------------------------------------------------------- Gymnasium's vectorised CartPole

_CARTPOLE_ARRAYS = ("state", "steps", "prev_done")


def _cartpole_state(env: Any) -> dict[str, Any]:
    arrays = {name: np.array(getattr(env, name)) for name in _CARTPOLE_ARRAYS}
    return arrays | {"low": float(env.low), "high": float(env.high), "generator": generator_state(env.np_random)}


def _set_cartpole_state(env: Any, state: Mapping[str, Any]) -> None:
    for name in _CARTPOLE_ARRAYS:
        mine, given = getattr(env, name), state[name]
        if not isinstance(given, np.ndarray) or (given.shape, given.dtype) != (mine.shape, mine.dtype):
            raise ValueError(f"{name} is not of shape {mine.shape} and {mine.dtype}")
    low, high = float(state["low"]), float(state["high"])
    if not -np.inf < low <= high < np.inf:
        raise ValueError(f"the bounds of the start are [{low}, {high}]")
    set_generator_state(env.np_random, state["generator"])
    for name in _CARTPOLE_ARRAYS:
        setattr(env, name, state[name].copy())
    env.low, env.high = low, high


register_state_adapter(
    "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv", _cartpole_state, _set_cartpole_state
)
