"""Learning rates that change over training: by name ("cosine:3e-4"), or a function of your own.

A schedule is a function of the share of the timestep budget that has been used, from 0 to 1. By name it is a factor
of a rate; a function of your own returns the rate itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from envzoo.errors import EnvzooError, shorten, unknown

FACTORS: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
}
_OWN: dict[str, Callable[[float], float]] = {}


def register_schedule(name: str, schedule: Callable[[float], float]) -> None:
    """Give a function of your own a name, under which `learning_rate=` and the command line know it.

    Files hold the name alone, so it has to be registered before a file of an agent with this schedule is loaded; on the
    command line, `--import MODULE` does so.

    Args:
        name: A Python identifier that no other schedule has.
        schedule: Maps the share of the budget that has been used, in [0, 1], to the learning rate.

    Raises:
        EnvzooError: The name is taken or no identifier, or the schedule cannot be called.
    """
    if not (isinstance(name, str) and name.isidentifier()):
        raise EnvzooError(f"the name of a schedule is a Python identifier such as 'my_schedule', got {name!r:.80}")
    if name in FACTORS or (name in _OWN and _OWN[name] is not schedule):
        raise EnvzooError(f"there is a schedule {name!r} already; choose another name")
    if not callable(schedule):
        raise EnvzooError(
            f"a schedule is a function of the share of the budget that has been used, got {schedule!r:.80}"
        )
    _OWN[name] = schedule


def is_known(text: str) -> bool:
    """Return whether a text is a schedule by name, "NAME:RATE" or the name of a registered function."""
    try:
        _parse(text)
    except EnvzooError:
        return False
    return True


def _parse(text: str) -> Callable[[float], float]:
    if text in _OWN:
        return _OWN[text]
    name, colon, number = text.partition(":")
    try:
        rate = float(number) if colon else math.nan
    except ValueError:
        rate = math.nan
    if name not in FACTORS:
        raise unknown("schedule of a learning rate", text, [*(f"{name}:RATE" for name in FACTORS), *_OWN])
    if not 0 < rate < math.inf:
        raise EnvzooError(f"the schedule {shorten(text)!r} lacks its rate; expected {name}:RATE, such as {name}:3e-4")
    return lambda progress: rate * FACTORS[name](progress)


def check_rate(name: str, agent: str, value: Any) -> None:
    """Raise EnvzooError unless a hyperparameter is a positive number, a schedule by name, or a function."""
    if isinstance(value, str):
        try:
            _parse(value)
        except EnvzooError as error:
            raise EnvzooError(f"{name} of {agent}: {error}") from None
    elif not callable(value) and not value > 0:
        raise EnvzooError(f"{name} of {agent} is positive, got {value}")


def is_scheduled(value: Any) -> bool:
    """Return whether a learning rate is a schedule or a function, and not a number."""
    return isinstance(value, str) or callable(value)


def rate_at(value: Any, progress: float) -> float:
    """Compute the learning rate where a share `progress` of the budget has been used.

    Raises:
        EnvzooError: A function returned something other than a finite number that is not negative.
    """
    if not is_scheduled(value):
        return value
    rate = (_parse(value) if isinstance(value, str) else value)(progress)
    try:
        number = float(rate)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise EnvzooError(f"the learning rate at {progress:.3g} of the budget is a number, got {shorten(repr(rate))}")
    return number


def first_rate(value: Any) -> float:
    """Compute the learning rate with which training begins."""
    return rate_at(value, 0.0)
