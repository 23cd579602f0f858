"""Reads the element of a set that an episode visits from its observation or info."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError, UnsupportedSpaceError, unknown
from envzoo.kernel.arguments import check_whole

# Type of the wrappers' argument `key`.
Key = None | str | int | tuple | Callable[[Any], Any]

_INFO = "info/"


class ElementReader:
    """Reads the visited elements of a batch of episodes.

    Args:
        space: Observation space of one episode.
        key: Where to read the element. None: the whole observation is the element (or position). An int or a tuple of
            ints: these components of it. A string: that entry of a Dict observation; a tuple that begins with a
            string: these components of that entry. "info/NAME": `info[NAME]`. A callable: takes one observation and
            returns the element (or position); in a vector environment it is called once per episode.
        discretiser: Maps positions (B, d) to elements (B,), as `GridDiscretiser` does; None if the values are integers.
            Several integer components index the cells of their MultiDiscrete space in row-major order.
        size: Number of elements, None to take that of the space or the discretiser.

    Attributes:
        size: Number of elements.
        info_keys: Keys of `info` that are read.

    Raises:
        UnknownNameError: The observation has no such entry.
        UnsupportedSpaceError: The values are not integers, and no discretiser is given.
        EnvzooError: The number of elements is unknown, or smaller than the number of possible values.
    """

    def __init__(
        self,
        space: spaces.Space,
        key: Key = None,
        discretiser: Callable[[np.ndarray], np.ndarray] | None = None,
        size: int | None = None,
    ) -> None:
        if discretiser is not None and not callable(discretiser):
            raise EnvzooError(
                f"discretiser is a {type(discretiser).__name__}; expected a function of positions, or a GridDiscretiser"
            )
        if size is not None:
            size = check_whole("size", size, 1)
        self.discretiser = discretiser
        self._callable = key if callable(key) else None
        self._info = key[len(_INFO) :] if isinstance(key, str) and key.startswith(_INFO) else None
        self.info_keys = () if self._info is None else (self._info,)
        self._entry: str | None = None
        self._components: np.ndarray | None = None
        self._first = self._counts = None
        self._label = "the observation"
        known = getattr(discretiser, "size", None)
        if self._callable is not None:
            self._label = "what key returned"
        elif self._info is not None:
            self._label = f"info[{self._info!r}]"
        else:
            part = self._find(space, key)
            if discretiser is None:
                self._first, self._counts = self._integers(part)
                known = int(np.prod(self._counts))
        if size is None and known is None:
            raise EnvzooError(f"the number of elements is not known from {self._label}; give size")
        if size is not None and known is not None and known > size:
            raise EnvzooError(f"{self._label} has {known} positions, but there are {size} elements; expected as many")
        self.size = int(known if size is None else size)

    def read(self, observation: Any, infos: Mapping[str, Any], where: np.ndarray) -> np.ndarray:
        """Read the elements of a batch, int64 (B,); only those of the episodes marked in `where` are valid.

        Raises:
            EnvzooError: `info` lacks the key, or an element is not a whole number from 0 to size - 1.
        """
        rows, elements = np.flatnonzero(where), np.zeros(len(where), np.int64)
        if not len(rows):
            return elements
        values = self._values(observation, infos, where, rows)
        if self.discretiser is not None:
            values = np.asarray(self.discretiser(values.reshape(len(rows), -1)))
        elif self._counts is not None:
            values = values.reshape(len(rows), -1) - self._first
            outside = (values < 0) | (values >= self._counts)
            if not outside.any():
                values = np.ravel_multi_index(tuple(values.T), tuple(self._counts))
        if values.ndim > 1 and values.size == len(rows):
            values = values.reshape(len(rows))
        if values.shape != (len(rows),) or values.dtype.kind not in "iu":
            raise EnvzooError(
                f"{self._label} gives {values.dtype} of shape {values.shape[1:]}; expected one whole number, or a "
                "discretiser for positions"
            )
        outside = (values < 0) | (values >= self.size)
        if outside.any():
            i = np.flatnonzero(outside)[0]
            raise EnvzooError(
                f"episode {rows[i]} visits element {values[i]} by {self._label}; expected 0 to {self.size - 1}"
            )
        elements[rows] = values
        return elements

    def _values(self, observation: Any, infos: Mapping[str, Any], where: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the values at the key for the episodes `rows`, (rows, ...)."""
        if self._callable is not None:
            return np.array([self._callable(row_of(observation, i)) for i in rows])
        if self._info is not None:
            if self._info not in infos:
                raise unknown("key of info", self._info, [name for name in infos if not name.startswith("_")])
            missing = where & ~infos.get("_" + self._info, where)
            if missing.any():
                raise EnvzooError(f"info of episode {np.flatnonzero(missing)[0]} has no {self._info!r}")
            return np.asarray(infos[self._info])[rows]
        values = np.asarray(observation if self._entry is None else observation[self._entry])[rows]
        return values if self._components is None else values[:, self._components]

    def _find(self, space: spaces.Space, key: Key) -> spaces.Space:
        """Store the location that the key names; returns the space there, before components are selected."""
        path = key if isinstance(key, tuple) else () if key is None else (key,)
        if path and isinstance(path[0], str):
            if not isinstance(space, spaces.Dict):
                raise EnvzooError(
                    f"the observation has no key {path[0]!r}, as it is {space}; expected None or indices of components"
                )
            if path[0] not in space.spaces:
                raise unknown("key of the observation", path[0], space.spaces)
            self._entry, space, path = path[0], space[path[0]], path[1:]
            self._label = f"observation[{self._entry!r}]"
        elif isinstance(space, spaces.Dict):
            raise EnvzooError(f"key {key!r} names no entry of the observation; expected one of {', '.join(space)}")
        if path:
            width = space.shape[0] if space.shape is not None and len(space.shape) == 1 else 0
            if not all(isinstance(c, int | np.integer) and not isinstance(c, bool) and 0 <= c < width for c in path):
                raise EnvzooError(f"{self._label} has no components {path}; it is {space}")
            self._components = np.array(path)
            self._label += f"[{', '.join(map(str, path))}]"
        return space

    def _integers(self, space: spaces.Space) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest value and the number of values of each component read, both int64 (components,)."""
        if isinstance(space, spaces.Discrete):
            return np.array([space.start]), np.array([space.n])
        if isinstance(space, spaces.MultiDiscrete):
            first, counts = np.broadcast_to(space.start, space.nvec.shape).ravel(), space.nvec.ravel()
            chosen = slice(None) if self._components is None else self._components
            return first[chosen].astype(np.int64), counts[chosen].astype(np.int64)
        raise UnsupportedSpaceError(
            f"{self._label} is {space}; expected Discrete or MultiDiscrete, or a discretiser such as GridDiscretiser"
        )


def row_of(observation: Any, i: int) -> Any:
    """Return the observation of episode i of a batch."""
    if isinstance(observation, Mapping):
        return {name: row_of(part, i) for name, part in observation.items()}
    if isinstance(observation, tuple):
        return tuple(row_of(part, i) for part in observation)
    return observation[i]
