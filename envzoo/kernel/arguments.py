"""Checks of an environment's arguments: one sentence for each bad one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError


def check_whole(name: str, value: Any, least: int) -> int:
    """`value` as an int.

    Raises:
        EnvzooError: When it is not a whole number of at least `least`.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise EnvzooError(f"{name} is {value!r}; expected a whole number of at least {least}")
    return int(value)


def check_number(name: str, value: Any, least: float, most: float = math.inf, *, above: bool = False) -> float:
    """`value` as a float.

    Raises:
        EnvzooError: When it is not a finite number from `least` (not above it, if `above`) to `most`.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < least or value > most or (above and value == least):
        first = f"above {least:g}" if above else f"of at least {least:g}"
        last = f" and at most {most:g}" if most < math.inf else ""
        raise EnvzooError(f"{name} is {value!r}; expected a number {first}{last}")
    return float(value)
