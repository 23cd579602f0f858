"""Forms of command-line values that users write and that tyro does not read, and other libraries' names of options."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any, NamedTuple

from envzoo.errors import EnvzooError, shorten

# Names in Stable-Baselines3, CleanRL, d3rlpy and TRL -> ours.
OTHER_NAMES = {
    "lr": "learning-rate",
    "n-envs": "num-envs",
    "n-steps": "num-steps",
    "total-timesteps": "timesteps",
    "n-epochs": "num-epochs",
    "update-epochs": "num-epochs",
    "ent-coef": "entropy-coefficient",
    "vf-coef": "value-coefficient",
    "clip-coef": "clip-range",
    "net-arch": "hidden",
    "n-eval-episodes": "eval-episodes",
    "eval-freq": "eval-every",
    "save-freq": "checkpoint-every",
    "num-generations": "group-size",
}


def normalize(flags: list[str], *classes: type) -> list[str]:
    """Rewrite the values of flags so that tyro reads them.

    Whole numbers may be written as 1e5 or 100_000, and several numbers as 64,64. Values of other types are not changed.

    Args:
        flags: Command-line arguments.
        *classes: Dataclasses whose fields are the flags.

    Raises:
        EnvzooError: A value that is no whole number, for a flag that takes one.
    """
    kinds = {}
    for cls in classes:
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            kinds[field.name.replace("_", "-")] = _kind(hints[field.name])
    found: list[str] = []
    kind = _Kind()
    for flag in flags:
        value = flag
        if flag.startswith("--"):
            name, equals, value = flag[2:].partition("=")
            kind = kinds.get(name.replace("_", "-"), _Kind())
            found.append(f"--{name}")
            if not equals:
                continue
        values = value.split(",") if kind.several else [value]
        found += [_whole(text, name, kind.words) for text in values] if kind.whole else values
        if not kind.several:
            kind = _Kind()  # what follows belongs to no flag
    return _merge(found, {name for cls in classes for name in _lists_of_text(cls)})


def _lists_of_text(cls: type) -> list[str]:
    hints = typing.get_type_hints(cls)
    return [field.name for field in dataclasses.fields(cls) if hints[field.name] == tuple[str, ...]]


def _merge(flags: list[str], names: set[str]) -> list[str]:
    """Gather the values of a flag that is repeated, so that `--tag a --tag b` is `--tag a b`."""
    groups: list[list[str]] = []
    for flag in flags:
        if flag.startswith("--"):
            name = flag[2:].replace("-", "_")
            earlier = next((group for group in groups if name in names and group[0] == flag), [flag])
            groups = [group for group in groups if group is not earlier] + [earlier]
        elif groups:
            groups[-1].append(flag)
        else:
            groups.append([flag])
    return [flag for group in groups for flag in group]


class _Kind(NamedTuple):
    """Values that a flag accepts: whole numbers, several numbers, and words in place of a number."""

    whole: bool = False
    several: bool = False
    words: tuple[str, ...] = ()


def _kind(hint: Any) -> _Kind:
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    choices = typing.get_args(hint) if union else (hint,)
    items = [item for choice in choices for item in (typing.get_args(choice) or (choice,))]
    several = any(typing.get_origin(choice) in (tuple, list) for choice in choices)
    words = tuple(
        "None" if item is type(None) else item for item in items if item is type(None) or isinstance(item, str)
    )
    number = int in items or float in items
    return _Kind(int in items and float not in items and str not in items, several and number, words)


def _whole(text: str, name: str, words: tuple[str, ...]) -> str:
    """Write a whole number with digits alone: 1e5 as 100000."""
    if text in words:
        return text
    try:
        return str(int(text))
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer() or abs(number) >= 2**53:
        expected = " or ".join(["a whole number", *words])
        raise EnvzooError(f"--{name} takes {expected}, got {shorten(text)!r}")
    return str(int(number))
