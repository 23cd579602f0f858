"""Validation of an environment's arguments, with a one-sentence error for each invalid one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError, shorten, unknown

MOST = 2**53  # largest count: up to here integers are exact as floats, and kernels can add them


def check_whole(name: str, value: Any, least: int, most: int | None = MOST) -> int:
    """Return `value` as an int.

    Raises:
        EnvzooError: It is not a whole number from `least` to `most` (None for no upper bound).
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:
        raise EnvzooError(f"{name} is {shorten(repr(value))}; expected a whole number of at least {least}")
    if most is not None and value > most:
        raise EnvzooError(f"{name} is {shorten(repr(value))}; expected a whole number from {least} to {most}")
    return int(value)


def check_shape(name: str, value: Any) -> tuple[int, ...]:
    """Return `value` as a tuple of ints.

    Raises:
        EnvzooError: It is not a sequence of whole numbers of at least 1.
    """
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or np.ndim(value) != 1:
        raise EnvzooError(f"{name} is {shorten(repr(value))}; expected a sequence of whole numbers")
    return tuple(check_whole(f"{name}[{i}]", part, 1) for i, part in enumerate(value))


def read_array(name: str, value: Any) -> np.ndarray:
    """Return `value` as an array of any shape and dtype.

    Raises:
        EnvzooError: Its rows differ in length, or it cannot be converted to an array.
    """
    try:
        return np.asarray(value)
    except (TypeError, ValueError, OverflowError):
        raise EnvzooError(f"{name} cannot be read as an array; expected numbers in rows of one length") from None


def check_seed(value: Any) -> int:
    """Return `value` as an int.

    Raises:
        EnvzooError: It is not a whole number of at least 0.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0:
        raise EnvzooError(f"seed {value!r} is not usable; expected an integer of at least 0")
    return int(value)


def check_choice(kind: str, name: Any, choices: Iterable[str]) -> str:
    """Return `name` if it is among `choices`.

    Args:
        kind: Kind of thing the name refers to, singular.
        name: The name given; anything but a string is refused, including unhashable values.
        choices: The valid names.

    Raises:
        UnknownNameError: It is not among them.
    """
    choices = list(choices)
    if not isinstance(name, str) or name not in choices:
        raise unknown(kind, name, choices)
    return name


def check_number(name: str, value: Any, least: float, most: float = math.inf, *, above: bool = False) -> float:
    """Return `value` as a float.

    Raises:
        EnvzooError: It is not a finite number from `least` (exclusive if `above`) to `most`.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < least or value > most or (above and value == least):
        first = f"above {least:g}" if above else f"of at least {least:g}"
        last = f" and at most {most:g}" if most < math.inf else ""
        raise EnvzooError(f"{name} is {shorten(repr(value))}; expected a number {first}{last}")
    return float(value)


def read_positions(option: str, value: Any, num_envs: int, edge: float) -> np.ndarray:
    """Convert a position (x, y) in a square, or one per episode, to an array (num_envs, 2).

    Raises:
        EnvzooError: When it is neither, or a place lies outside -edge to edge.
    """
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape not in ((2,), (num_envs, 2)) or not (np.abs(array) <= edge).all():
        raise EnvzooError(
            f"reset option {option} is {shorten(repr(value))}; expected (x, y) or an array ({num_envs}, 2), within "
            f"{-edge:g} to {edge:g}"
        )
    return np.broadcast_to(array, (num_envs, 2)).copy()
