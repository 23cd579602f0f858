"""Encode observations as bytes that can be compared, and reset options and actions compactly for checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

DIGEST_SIZE = 32
ARRAYS = (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete)


def encode(value: Any) -> bytes:
    """Encode an observation as bytes that are equal only for equal observations; raises TypeError if impossible."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("an array of objects")
        return f"a{value.dtype.str}{value.shape}".encode() + value.tobytes()
    if isinstance(value, bool | int | float | str | bytes | None):
        body = repr(value).encode()
        return b"v%d:" % len(body) + body
    if isinstance(value, np.generic):
        return encode(np.asarray(value))
    if isinstance(value, Mapping):
        return b"d%d:" % len(value) + b"".join(encode(key) + encode(part) for key, part in value.items())
    if isinstance(value, tuple | list):
        return b"t%d:" % len(value) + b"".join(map(encode, value))
    if hasattr(value, "__array__"):
        return encode(np.asarray(value))
    raise TypeError(type(value).__name__)


def leaves(space: spaces.Space, batch: Any) -> Iterator[bytes]:
    """Yield the parts of a batch of observations as bytes, one block of equal length per episode."""
    if isinstance(space, ARRAYS):
        yield batch.tobytes()
    elif isinstance(space, spaces.Dict):
        for name, part in space.spaces.items():
            yield from leaves(part, batch[name])
    elif isinstance(space, spaces.Tuple):
        for part, values in zip(space.spaces, batch, strict=True):
            yield from leaves(part, values)
    else:  # text, graphs, sequences and the like come as one object per episode
        yield b"".join(hashlib.blake2b(encode(one), digest_size=DIGEST_SIZE).digest() for one in batch)


def is_plain(value: Any, depth: int = 4) -> bool:
    """Return whether reset options consist of numbers only; text is excluded, because it may name files."""
    if isinstance(value, Mapping):
        return depth > 0 and all(isinstance(k, str) and is_plain(v, depth - 1) for k, v in value.items())
    if isinstance(value, tuple | list):
        return depth > 0 and all(is_plain(v, depth - 1) for v in value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return value is None or (isinstance(value, bool | int | float) and not isinstance(value, np.generic))


def shrink(actions: np.ndarray) -> np.ndarray:
    """Convert integers to the smallest data type that holds them."""
    if actions.dtype.kind not in "iu" or not actions.size:
        return actions
    low, high = int(actions.min()), int(actions.max())
    dtype = np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high))
    return actions.astype(dtype) if dtype.kind in "iu" and dtype.itemsize < actions.itemsize else actions
