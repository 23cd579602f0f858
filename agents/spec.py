"""Hyperparameters: their types, ranges and declarations, and how a config is built from them."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import types
import typing
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from envzoo.errors import EnvzooError, shorten, unknown
from envzoo.specs import AgentSpec  # noqa: F401  (its place in the first release)

C = TypeVar("C")
OWN_KINDS = ("encoder", "schedule")  # of which the user may give a class or function
MOST_ITEMS = 10_000  # of a tuple of hyperparameters


@dataclass(frozen=True)
class Holds:
    """Marks a config field whose text names something outside the agent: `Annotated[str, Holds("model")]`.

    What such a field holds in a file is judged before anything is built from it (see `envzoo.agents.guard`).

    A field that holds an encoder or a schedule also takes a class or function of the user's own, which no file
    contains: it is saved as text (see `name_of`), and `load` has to be given it again.

    Attributes:
        kind: What it names.
        words: Values that name nothing outside.
        part: The registered part of the agent that carries what is named into its file, so that loading it needs
            neither name nor path; None when the name is looked up again.
    """

    kind: Literal["environment", "agent", "model", "encoder", "schedule"]
    words: tuple[str, ...] = ()
    part: str | None = None


def held_fields(cls: type) -> dict[str, Holds]:
    """Return the fields of a config that name something outside, by name."""
    hints = typing.get_type_hints(cls, include_extras=True)
    marked = {field.name: getattr(hints[field.name], "__metadata__", ()) for field in dataclasses.fields(cls)}
    return {name: mark for name, marks in marked.items() for mark in marks if isinstance(mark, Holds)}


def name_of(own: Any) -> str:
    """Return the text under which a class or function of the user's own is saved: compared, but never imported."""
    while isinstance(own, functools.partial):
        own = own.func
    named = own if hasattr(own, "__qualname__") else type(own)
    return f"{named.__module__}:{named.__qualname__}"


def plain_config(config: Any) -> dict[str, Any]:
    """Return a config as plain values for a file, with classes and functions of the user's own as text."""
    values = dataclasses.asdict(config)
    for name, held in held_fields(type(config)).items():
        if held.kind in OWN_KINDS and callable(values[name]):
            values[name] = name_of(getattr(config, name))
    return values


def require(condition: bool, sentence: str) -> None:
    """Raise EnvzooError with the sentence, shortened, unless the condition holds; for `__post_init__` of configs."""
    if not condition:
        raise EnvzooError(shorten(sentence, 1000))


def _coerce(value: Any, annotation: Any) -> Any:
    """Convert a value to the annotated type; raises TypeError if that would lose information."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _coerce(value, option)
            except TypeError:
                continue
        raise TypeError
    if origin is Literal:
        if value in arguments:
            return value
        raise TypeError
    if annotation in (None, type(None)):
        if value is None:
            return None
        raise TypeError
    if origin is tuple:
        # Neither a dict, whose keys would be taken, nor a set, which has no order.
        if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
            raise TypeError
        inner = arguments[0] if arguments else Any
        if isinstance(value, typing.Sized) and len(value) > MOST_ITEMS:
            raise TypeError
        return tuple(_coerce(item, inner) for item in value)
    if annotation in (float, int) and isinstance(value, numbers.Real) and not isinstance(value, bool):
        if not math.isfinite(value) or (annotation is int and value != int(value)):
            raise TypeError
        return annotation(value)
    if annotation in (bool, str) and type(value) is annotation:
        return value
    if annotation not in (float, int, bool, str) and isinstance(annotation, type) and isinstance(value, annotation):
        return value
    raise TypeError


def describe_type(annotation: Any) -> str:
    """Return a short human name of a type annotation ("float", "one of 'a', 'b'")."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe_type(a) for a in arguments)
    if annotation in (None, type(None)):
        return "None"
    return annotation.__name__ if isinstance(annotation, type) and not arguments else str(annotation)


def _check_sizes(name: str, agent: str, value: Any) -> None:
    """Reject counts that are too large, and layers without units."""
    from envzoo.kernel.arguments import MOST  # here, because lists of agents do without Numba

    parts = value if isinstance(value, tuple) else (value,)
    whole = [part for part in parts if isinstance(part, int) and not isinstance(part, bool)]
    if any(abs(part) > MOST for part in whole):
        raise EnvzooError(f"hyperparameter {name} of {agent} is {value!r}; expected at most {MOST}")
    if name.endswith("hidden") and any(part < 1 for part in whole):
        raise EnvzooError(f"hyperparameter {name} of {agent} is {value!r}; expected widths of at least 1")


def current_names(cls: type, agent: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Replace former names of hyperparameters by the present ones.

    A config class lists the names that it has changed in a class variable `RENAMED: ClassVar[dict[str, str]]`, former
    name -> present name. Files that were saved under the former names load through this table, and `make` accepts them
    with a DeprecationWarning.

    Raises:
        EnvzooError: A hyperparameter is given under both names.
    """
    renamed = getattr(cls, "RENAMED", {})
    for former, present in renamed.items():
        if former in given and present in given:
            raise EnvzooError(f"{former} of {agent} is now called {present}; give one of them")
    return {renamed.get(name, name): value for name, value in given.items()}


def build_config(cls: type[C], agent: str, given: Mapping[str, Any]) -> C:
    """Create a config dataclass from hyperparameters, after checking their names and types.

    A hyperparameter under its former name (see `current_names`) is accepted with a DeprecationWarning.

    Raises:
        UnknownNameError: A hyperparameter the agent does not have; the sentence names the nearest.
        EnvzooError: A value of the wrong type or outside its range.
    """
    names = [field.name for field in dataclasses.fields(cls)]
    hints = typing.get_type_hints(cls)
    own = [name for name, held in held_fields(cls).items() if held.kind in OWN_KINDS and callable(given.get(name))]
    values = {name: given[name] for name in own}
    for name in given.keys() & getattr(cls, "RENAMED", {}).keys():
        now = cls.RENAMED[name]
        warnings.warn(f"hyperparameter {name} of {agent} is now called {now}", DeprecationWarning, stacklevel=3)
    for name, value in current_names(cls, agent, given).items():
        if name not in names:
            raise unknown(f"hyperparameter of {agent}", name, names)
        if name in own:
            continue
        try:
            values[name] = _coerce(value, hints[name])
        except (TypeError, ValueError, OverflowError):
            raise EnvzooError(
                f"hyperparameter {name} of {agent} expects {describe_type(hints[name])}, got {shorten(repr(value))}"
            ) from None
    config = cls(**values)  # its own sentences first: they know the agent
    for name, value in values.items():
        _check_sizes(name, agent, value)
    return config
