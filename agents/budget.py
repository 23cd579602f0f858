"""A budget for the tensors that are made while an agent is built from a file, which its settings must not exceed.

A network's sizes stand in the settings and its weights in the same file, so what is built can be compared with what is
stored: every operation that makes a tensor is tried on the meta device first, which gives its shape without memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from envzoo.errors import CheckpointError
from envzoo.sizes import readable

# What is made while an agent is built, over what its file holds: initial weights are drawn, transformed and copied
# into networks, their targets and the optimizer. The constants are for agents that have hardly any weights.
BYTES, BYTES_EACH = 16 * 2**20, 32
TENSORS, TENSORS_EACH = 1000, 50


class TensorBudget(TorchDispatchMode):
    """While it is entered, operations that would make more or larger tensors than a file accounts for are refused.

    Args:
        path: The file.
        state: The tree of what it holds.

    Raises:
        CheckpointError: From the operation that is one too many, before it is carried out.
    """

    def __init__(self, path: Any, state: Any):
        super().__init__()
        self.path = path
        self.stored, arrays = sizes(state)
        self.most_bytes = BYTES + BYTES_EACH * self.stored
        self.most_tensors = TENSORS + TENSORS_EACH * arrays
        self.bytes = self.tensors = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Count what the operation would make, then carry it out."""
        kwargs = kwargs or {}
        if any(value.alias_info is None for value in func._schema.returns):  # others make views, or write in place
            self.tensors += 1
            self.bytes += requested(func, args, kwargs)
            if self.bytes > self.most_bytes or self.tensors > self.most_tensors:
                raise CheckpointError(
                    f"{self.path} is refused: its settings ask for more than {readable(self.most_bytes)} or "
                    f"{self.most_tensors} tensors of networks and buffers, but it holds {readable(self.stored)}"
                )
        return func(*args, **kwargs)


def requested(func: Any, args: tuple, kwargs: dict[str, Any]) -> int:
    """Bytes of what an operation would make, counted on the meta device."""
    try:
        # Generators belong to a device, and the shape does not depend on them.
        meta = {key: None if key in ("generator", "pin_memory") else value for key, value in kwargs.items()}
        if "device" in meta or not any(isinstance(arg, torch.Tensor) for arg in args):
            meta["device"] = torch.device("meta")
        made = func(*tree_map(_on_meta, args), **tree_map(_on_meta, meta))
    except (NotImplementedError, RuntimeError, TypeError):  # the shape depends on the content: no more than came in
        made = args
    # Where nothing came in, the shape is among the arguments.
    total = 0 if any(isinstance(value, torch.Tensor) for value in tree_flatten(made)[0]) else 8 * _product(args)

    def count(value: Any) -> None:
        nonlocal total
        if isinstance(value, torch.Tensor):
            total += value.numel() * value.itemsize

    tree_map(count, made)
    return total


def _product(args: tuple) -> int:
    """Return the largest product of whole numbers in an argument, which may be a shape."""
    shapes = [arg if isinstance(arg, list | tuple) else [arg] for arg in args]
    return max((math.prod(n for n in shape if type(n) is int) for shape in shapes), default=0)


def _on_meta(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")


def sizes(tree: Any) -> tuple[int, int]:
    """Bytes and number of the arrays in a tree."""
    count, arrays, left = 0, 0, [tree]
    while left:
        item = left.pop()
        if isinstance(item, Mapping):
            left += item.values()
        elif isinstance(item, list | tuple):
            left += item
        elif isinstance(item, np.ndarray | torch.Tensor):
            count, arrays = count + item.nbytes, arrays + 1
    return count, arrays
