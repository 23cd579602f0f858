"""Packing of observations for storage, and their expansion for networks.

A *packed* observation is one row of `packed_dim` numbers, in the most compact exact dtype (uint8, int32 or float32), so
that rollouts, replay buffers and datasets hold one array for any space. Networks *expand* rows: discrete parts become
one-hot vectors, images become channel-first planes scaled to [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from envzoo.errors import EnvzooError, UnsupportedSpaceError

SUPPORTED = "Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these"


@dataclass(frozen=True)
class Part:
    """One leaf of the observation space: columns `start:stop` of a packed row."""

    kind: str  # "vector", "binary", "discrete", "image"
    start: int
    stop: int
    shape: tuple[int, ...]
    sizes: tuple[int, ...] = ()  # number of values of each discrete column
    offsets: tuple[int, ...] = ()  # smallest value of each discrete column
    scale: float = 1.0  # images: divisor that maps the range to [0, 1]
    channels_last: bool = True


def leaves(space: spaces.Space, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], spaces.Space]]:
    """Return the leaf spaces of a space, each with its path of keys."""
    if isinstance(space, spaces.Dict):
        return [leaf for key, child in space.spaces.items() for leaf in leaves(child, (*path, key))]
    return [(path, space)]


def is_image(space: spaces.Space) -> bool:
    """Return whether a space is an image.

    Images are 3-dimensional uint8 Boxes with range 0..255 and sides of at least 8 pixels.
    """
    if not isinstance(space, spaces.Box) or len(space.shape) != 3 or space.dtype != np.uint8:
        return False
    return bool((space.low == 0).all() and (space.high == 255).all() and sorted(space.shape)[1] >= 8)


MOST_SYMBOLS = 32


def _is_symbolic(space: spaces.Space) -> bool:
    """Return whether a space is a Box of integers with few values each."""
    if not isinstance(space, spaces.Box) or space.dtype.kind not in "iu" or is_image(space):
        return False
    return bool((space.high.astype(np.float64) - space.low < MOST_SYMBOLS).all())


def _part(space: spaces.Space, start: int, path: tuple[str, ...]) -> tuple[Part, np.dtype]:
    def make(kind: str, width: int, shape: tuple[int, ...], **extra: Any) -> Part:
        return Part(kind, start, start + width, shape, **extra)

    if isinstance(space, spaces.Discrete):
        return make("discrete", 1, (), sizes=(int(space.n),), offsets=(int(space.start),)), np.dtype(np.int32)
    if isinstance(space, spaces.MultiDiscrete):
        sizes = tuple(int(n) for n in space.nvec.reshape(-1))
        offsets = tuple(int(n) for n in np.asarray(space.start).reshape(-1))
        return make("discrete", len(sizes), space.nvec.shape, sizes=sizes, offsets=offsets), np.dtype(np.int32)
    if isinstance(space, spaces.MultiBinary):
        return make("binary", int(np.prod(space.shape)), tuple(space.shape)), np.dtype(np.uint8)
    if is_image(space):
        channels_last = space.shape[-1] == min(space.shape)
        extra = {"scale": 255.0, "channels_last": channels_last}
        return make("image", int(np.prod(space.shape)), tuple(space.shape), **extra), np.dtype(np.uint8)
    if isinstance(space, spaces.Box):
        return make("vector", int(np.prod(space.shape)), tuple(space.shape)), np.dtype(np.float32)
    name = ".".join(path) or "observation"
    advice = ""
    if isinstance(space, spaces.Text):
        advice = (
            "; text environments of envzoo have a second id for these agents, as envzoo/TextSumTo-Tokens-v0 for "
            "envzoo/TextSumTo-v0"
        )
    elif type(space).__name__ == "MissionSpace":
        advice = "; envzoo.wrappers.minigrid_images:MiniGridImage-... are MiniGrid's worlds without the mission"
    raise UnsupportedSpaceError(
        f"agents take {SUPPORTED}, but {name} is a {type(space).__name__} space: {space}{advice}"
    )


class ObservationCodec:
    """Codec that packs observations of one (single-environment) space into rows and expands rows for networks.

    Args:
        space: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these.

    Raises:
        UnsupportedSpaceError: The space has another kind of leaf (the message gives its name and kind).
    """

    def __init__(self, space: spaces.Space):
        self.space = space
        self.paths: list[tuple[str, ...]] = []
        self.parts: list[Part] = []
        dtypes: list[np.dtype] = []
        position = 0
        for path, leaf in leaves(space):
            part, dtype = _part(leaf, position, path)
            position = part.stop
            self.paths.append(path)
            self.parts.append(part)
            dtypes.append(dtype)
        if not self.parts:
            raise UnsupportedSpaceError(f"agents take {SUPPORTED}, but the observation space is empty: {space}")
        self.packed_dim = position
        # All of these hold the values exactly: integers beyond 2^24 never share a row with floats in practice, and a
        # Discrete space that large could not be one-hot anyway.
        self.dtype = np.dtype(np.result_type(*dtypes) if np.dtype(np.float32) not in dtypes else np.float32)
        self.torch_dtype = {"uint8": torch.uint8, "int32": torch.int32, "float32": torch.float32}[self.dtype.name]
        self.images = [part for part in self.parts if part.kind == "image"]
        self.vector_dim = sum(
            sum(part.sizes) if part.kind == "discrete" else part.stop - part.start
            for part in self.parts
            if part.kind != "image"
        )
        # Boxes of few integers (such as Minigrid's grids) are symbols; only the encoder "symbols" uses this.
        self.symbols = [
            part if _is_symbolic(leaf) else None for part, (_, leaf) in zip(self.parts, leaves(space), strict=True)
        ]
        self.has_symbols = any(part is not None for part in self.symbols)
        self._plain = len(self.parts) == 1 and self.parts[0].kind in ("vector", "binary")

    @property
    def num_states(self) -> int | None:
        """Number of distinct observations when every part is discrete, else None."""
        if any(part.kind != "discrete" for part in self.parts):
            return None
        return math.prod(size for part in self.parts for size in part.sizes)

    def is_batched(self, observation: Any) -> bool:
        """Return whether an observation has a leading batch dimension, after checking all of its values.

        Raises:
            UnsupportedSpaceError: Its shape matches neither one observation of the space nor a batch.
            EnvzooError: An empty batch, parts of different lengths, values that are not finite, or values outside a
                discrete space.
        """
        counts = set()
        for path, part, (_, leaf) in zip(self.paths, self.parts, leaves(self.space), strict=True):
            value = observation
            for key in path:
                if not isinstance(value, dict) or key not in value:
                    raise UnsupportedSpaceError(
                        f"expected a dict observation with the keys {list(self.space.spaces)}, "
                        f"got {list(value) if isinstance(value, dict) else type(value).__name__}"
                    )
                value = value[key]
            try:
                array = np.asarray(value)
            except ValueError:  # rows of different lengths
                raise UnsupportedSpaceError("an observation has rows of different lengths; expected an array") from None
            shape, own = array.shape, tuple(leaf.shape or ())
            if shape != own and shape[1:] != own:
                raise UnsupportedSpaceError(
                    f"expected an observation of shape {leaf.shape} or (batch, *{leaf.shape}), got shape {shape}"
                )
            counts.add(None if shape == own else shape[0])
            if 0 in counts:
                raise EnvzooError("the batch of observations is empty; expected at least one observation")
            self._check_values(array, part, ".".join(path) or "the observation")
        if len(counts) > 1:
            raise EnvzooError("the parts of the observation are batches of different lengths; expected one length")
        return counts != {None}

    def _check_values(self, array: np.ndarray, part: Part, name: str) -> None:
        if array.dtype.kind not in ("iub" if part.kind == "discrete" else "iubf"):
            expected = "integers" if part.kind == "discrete" else "numbers"
            raise EnvzooError(f"{name} is of {array.dtype}; expected {expected}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise EnvzooError(f"{name} holds NaN or infinite numbers; expected finite ones")
        if part.kind == "discrete":
            first, counts = np.array(part.offsets), np.array(part.sizes)
            values = array.reshape(-1, len(counts))
            outside = (values < first) | (values >= first + counts)
            if outside.any():
                row, column = np.argwhere(outside)[0]
                raise EnvzooError(
                    f"{name} holds {values[row, column]}, which is out of range; expected {first[column]} to "
                    f"{first[column] + counts[column] - 1}"
                )

    def pack(self, observation: Any) -> np.ndarray:
        """Pack a batch of observations: arrays (or dicts of arrays) of leading size B -> (B, packed_dim)."""
        if len(self.parts) == 1 and not self.paths[0]:
            array = np.asarray(observation)
            return array.reshape(len(array), -1).astype(self.dtype, copy=False)
        columns = []
        for path in self.paths:
            value = observation
            for key in path:
                value = value[key]
            value = np.asarray(value)
            columns.append(value.reshape(len(value), -1))
        return np.concatenate(columns, axis=1).astype(self.dtype, copy=False)

    def pack_one(self, observation: Any) -> np.ndarray:
        """Pack one observation without a batch dimension: -> (packed_dim,)."""
        columns = []
        for path in self.paths:
            value = observation
            for key in path:
                value = value[key]
            columns.append(np.asarray(value).reshape(-1))
        return np.concatenate(columns).astype(self.dtype, copy=False)

    def vector(self, packed: Tensor) -> Tensor:
        """Expand all parts except images: (..., packed_dim) -> (..., vector_dim) float32, discrete columns one-hot."""
        if packed.shape[-1] != self.packed_dim:  # action masks are appended to the observation
            packed = packed[..., : self.packed_dim]
        if self._plain:
            return packed.float()
        pieces = []
        for part in self.parts:
            columns = packed[..., part.start : part.stop]
            if part.kind in ("vector", "binary"):
                pieces.append(columns.float())
            elif part.kind == "discrete":
                for i, (size, offset) in enumerate(zip(part.sizes, part.offsets, strict=True)):
                    index = columns[..., i].long() - offset
                    pieces.append(torch.nn.functional.one_hot(index, size).float())
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=-1)

    def one_hot_index(self, packed: Tensor) -> Tensor:
        """Compute the positions of the ones of `vector`, for fully discrete observations.

        (..., packed_dim) -> (..., packed_dim) int64.
        """
        shifts, position = [], 0
        for part in self.parts:
            for size, offset in zip(part.sizes, part.offsets, strict=True):
                shifts.append(position - offset)
                position += size
        return packed[..., : self.packed_dim].long() + torch.tensor(shifts, device=packed.device)

    def image(self, packed: Tensor, part: Part) -> Tensor:
        """Expand one image part: (..., packed_dim) -> (..., C, H, W) float32 in [0, 1]."""
        image = packed[..., part.start : part.stop].float() / part.scale
        image = image.reshape(*packed.shape[:-1], *part.shape)
        return image.movedim(-1, -3) if part.channels_last else image

    def index(self, packed: Tensor) -> Tensor:
        """Compute the row-major index of a fully discrete observation: (..., packed_dim) -> (...) int64."""
        result = torch.zeros(packed.shape[:-1], dtype=torch.int64, device=packed.device)
        for part in self.parts:
            for i, (size, offset) in enumerate(zip(part.sizes, part.offsets, strict=True)):
                result = result * size + (packed[..., part.start + i].long() - offset)
        return result
