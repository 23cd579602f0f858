"""Checks of arrays that a user gives as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError


def read_numbers(name: str, values: Any) -> np.ndarray:
    """Return `values` as a read-only array of finite numbers of at least one row, floats in single precision.

    Raises:
        EnvzooError: Something else.
    """
    try:
        array = np.array(values)
    except (TypeError, ValueError):  # rows of different lengths
        array = np.array(None)
    if array.ndim == 0 or not len(array) or array.dtype.kind not in "iubf":
        raise EnvzooError(f"{name} is not usable; expected an array of numbers, (N, ...) with N of at least 1")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise EnvzooError(f"{name} holds NaN or infinite numbers; expected finite ones")
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise EnvzooError(f"{name} holds numbers beyond the range of single precision; scale them down")
    array.setflags(write=False)
    return array


def check_length(name: str, values: Any, expected: int, of: str) -> None:
    """Raise EnvzooError unless there are `expected` values, one for each of `of`."""
    if len(values) != expected:
        raise EnvzooError(f"{name} has {len(values)} rows, expected {expected}, one for each of {of}")


def space_of(array: np.ndarray) -> spaces.Box:
    """Return a Box that holds the rows of an array: unbounded for floats, the range of the data type for integers."""
    shape = array.shape[1:]
    if array.dtype.kind == "f":
        return spaces.Box(-np.inf, np.inf, shape, np.float32)
    if array.dtype.kind == "b":
        return spaces.Box(0, 1, shape, np.uint8)
    limits = np.iinfo(array.dtype)
    return spaces.Box(limits.min, limits.max, shape, array.dtype.type)


def refuse_mapping(name: str, values: Any) -> None:
    """Raise EnvzooError for dicts, which hold no rows."""
    if isinstance(values, Mapping | set):
        raise EnvzooError(f"{name} is a {type(values).__name__}; expected a sequence")
