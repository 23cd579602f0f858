"""Preferences between two answers or behaviours in the same context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.sources.arrays import check_length, read_numbers, refuse_mapping, space_of
from envzoo.agents.sources.base import Source
from envzoo.datasets.preference_pairs import read_pairs
from envzoo.errors import EnvzooError

Items = np.ndarray | tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Preferences:
    """N contexts, each with an answer that was preferred and one that was not.

    Each of the three is either an array of numbers (N, ...) or N texts. Arrays are read-only copies, floats in single
    precision; texts are tuples.

    Attributes:
        prompts: The contexts (prompts, states, first observations).
        chosen: The preferred answers.
        rejected: The others, of the same kind as `chosen`; arrays have the same shape.
        margin: (N,) by how much the chosen one is better, at least 0, or None.
        label: (N,) probability in [0, 1] that the chosen one is the better one, or None for certainty.

    Raises:
        EnvzooError: Values that do not fit together or lie out of range.
    """

    prompts: Items
    chosen: Items
    rejected: Items
    margin: np.ndarray | None = None
    label: np.ndarray | None = None

    def __post_init__(self) -> None:
        items = {name: _read_items(name, getattr(self, name)) for name in ("prompts", "chosen", "rejected")}
        count = len(items["prompts"])
        for name in ("chosen", "rejected"):
            check_length(name, items[name], count, "the prompts")
        chosen, rejected = items["chosen"], items["rejected"]
        if isinstance(chosen, tuple) != isinstance(rejected, tuple):
            raise EnvzooError("one of chosen and rejected holds texts and the other numbers; expected one kind")
        if not isinstance(chosen, tuple) and chosen.shape != rejected.shape:
            raise EnvzooError(
                f"chosen and rejected have the shapes {chosen.shape} and {rejected.shape}; expected equal ones"
            )
        for name, most in (("margin", np.inf), ("label", 1)):
            items[name] = value = None if getattr(self, name) is None else read_numbers(name, getattr(self, name))
            if value is None:
                continue
            if value.ndim != 1:
                raise EnvzooError(f"{name} has the shape {value.shape}; expected one number for each prompt, (N,)")
            check_length(name, value, count, "the prompts")
            if not ((value >= 0) & (value <= most)).all():
                expected = "numbers of at least 0" if name == "margin" else "probabilities"
                raise EnvzooError(f"{name} holds numbers that are out of range; expected {expected}")
        for name, value in items.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.prompts)


def _read_items(name: str, values: Any) -> Items:
    if isinstance(values, str):
        raise EnvzooError(f"{name} is one text; expected a sequence of texts")
    refuse_mapping(name, values)
    if isinstance(values, Sequence) and values and all(isinstance(value, str) for value in values):
        return tuple(values)
    return read_numbers(name, values)


def is_preferences(source: Any) -> bool:
    """Return whether an object is `Preferences`."""
    return isinstance(source, Preferences)


def from_preferences(source: Preferences) -> Source:
    """Resolve preferences; the observation space is that of numeric prompts, and None for texts."""
    texts = isinstance(source.prompts, tuple)
    space = None if texts else space_of(source.prompts)
    return Source("preferences", f"{len(source)} preferences", None, space, None, given=source)


def preferences_of_dataset(source: Source) -> Source:
    """Convert a dataset of pairs (see `envzoo.datasets.preference_pairs`); raises DatasetError for another one."""
    found = from_preferences(Preferences(**read_pairs(source.given)))
    name, spaces = source.name, (source.observation_space, source.action_space)
    return Source("preferences", name, source.id, *spaces, given=found.given, recorded=source.given)
