"""Pairs of observations that belong together, for representation learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.sources.arrays import check_length, read_numbers, space_of
from envzoo.agents.sources.base import Source
from envzoo.datasets.table import TransitionTable
from envzoo.errors import EnvzooError


@dataclass(frozen=True, eq=False)
class Pairs:
    """N observations, each with another one that should be represented alike, and optional labels.

    The arrays are read-only copies, floats in single precision.

    Attributes:
        x: (N, ...) observations.
        positive: (N, ...) of the same shape: augmented, later or otherwise related observations.
        label: (N,) integers (classes) or numbers, or None.

    Raises:
        EnvzooError: Arrays that hold no finite numbers or do not fit together.
    """

    x: np.ndarray
    positive: np.ndarray
    label: np.ndarray | None = None

    def __post_init__(self) -> None:
        x, positive = read_numbers("x", self.x), read_numbers("positive", self.positive)
        if x.shape != positive.shape:
            raise EnvzooError(f"x and positive have the shapes {x.shape} and {positive.shape}; expected equal ones")
        if x.dtype != positive.dtype:
            raise EnvzooError(f"x and positive are {x.dtype} and {positive.dtype}; expected one data type")
        label = None
        if self.label is not None:
            label = read_numbers("label", self.label)
            if label.ndim != 1:
                raise EnvzooError(f"label has the shape {label.shape}; expected one label for each pair, (N,)")
            check_length("label", label, len(x), "the pairs")
        for name, value in (("x", x), ("positive", positive), ("label", label)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.x)


def is_pairs(source: Any) -> bool:
    """Return whether an object is `Pairs`."""
    return isinstance(source, Pairs)


def from_pairs(source: Pairs) -> Source:
    """Resolve pairs given as arrays; they have no id, and no space of actions."""
    return Source("pairs", f"{len(source)} pairs", None, space_of(source.x), None, given=source)


def pairs_of_dataset(source: Source) -> Source:
    """Convert a dataset to pairs: every packed observation with the next one in its episode."""
    table = TransitionTable.from_minari(source.given)
    codec = ObservationCodec(source.observation_space)
    pairs = Pairs(codec.pack(table.observations), codec.pack(table.next_observations))
    return Source("pairs", source.name, source.id, space_of(pairs.x), None, given=pairs)
