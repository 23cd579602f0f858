"""Adapters that capture environments without `get_state` and `set_state`, and the states of random generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class StateAdapter(NamedTuple):
    """Functions that read and write the state of the environments of one class."""

    get_state: Callable[[Any], dict[str, Any]]
    set_state: Callable[[Any, Mapping[str, Any]], None]


_ADAPTERS: dict[str, StateAdapter] = {}


def register_state_adapter(
    cls: type | str,
    get_state: Callable[[Any], dict[str, Any]],
    set_state: Callable[[Any, Mapping[str, Any]], None],
) -> None:
    """Register functions that capture environments or wrappers of a class without `get_state` and `set_state`.

    Exact resume uses them. The adapter of a vector environment must cover everything that determines the rest of its
    episodes, including the random generator. The adapter of a single environment or wrapper must cover everything
    that persists across episodes (the position in a curriculum, running statistics, the state of a simulator's own
    generator); it is read before each reset and written before an episode is replayed.

    Args:
        cls: The class (subclasses are not included), or its entry point "module:Class", which is not imported.
        get_state: Takes the environment and returns a dict of arrays, numbers, strings, lists and dicts. It must return
            copies, because the environment keeps running.
        set_state: Takes an identically configured environment and such a dict; raises ValueError if it does not fit.
    """
    _ADAPTERS[cls if isinstance(cls, str) else entry_point(cls)] = StateAdapter(get_state, set_state)


def entry_point(cls: type) -> str:
    """Return the entry point "module:Class" of a class."""
    return f"{cls.__module__}:{cls.__qualname__}"


def adapter_of(env: Any) -> StateAdapter | None:
    """Return the adapter registered for the class of an environment or wrapper."""
    return _ADAPTERS.get(entry_point(type(env)))


def has_adapter(entry: Any) -> bool:
    """Return whether an adapter exists for the class that a specification names, as a string or as the class itself."""
    return (entry if isinstance(entry, str) else entry_point(entry) if isinstance(entry, type) else "") in _ADAPTERS


# ---------------------------------------------------------------------- random generators

# Fields of a bit generator's state that index memory, with their largest value: NumPy does not validate them.
_POSITIONS = {
    "PCG64": {},
    "PCG64DXSM": {},
    "SFC64": {},
    "MT19937": {("state", "pos"): 624},
    "Philox": {("buffer_pos",): 4},
}


def generator_state(generator: np.random.Generator) -> dict[str, Any] | None:
    """Return the state of a generator as plain values and arrays; None if its bit generator is not one of NumPy's."""
    state = generator.bit_generator.state
    return state if isinstance(state, dict) and state.get("bit_generator") in _POSITIONS else None


def set_generator_state(generator: np.random.Generator, state: Any) -> None:
    """Set a state returned by `generator_state`, possibly read from a file.

    Raises:
        ValueError: The state belongs to another bit generator or is not a valid state.
    """
    mine = generator_state(generator)
    if mine is None or not _alike(mine, state) or mine["bit_generator"] != state["bit_generator"]:
        raise ValueError(f"the state of a generator is not a state of {type(generator.bit_generator).__name__}")
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
    """Return whether two trees have the same structure: equal keys and strings, natural numbers, equal array shapes."""
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
            raise ValueError(f"{name} does not have shape {mine.shape} and dtype {mine.dtype}")
    low, high = float(state["low"]), float(state["high"])
    if not -np.inf < low <= high < np.inf:
        raise ValueError(f"the bounds of the start state are [{low}, {high}]")
    set_generator_state(env.np_random, state["generator"])
    for name in _CARTPOLE_ARRAYS:
        setattr(env, name, state[name].copy())
    env.low, env.high = low, high


register_state_adapter(
    "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv", _cartpole_state, _set_cartpole_state
)
