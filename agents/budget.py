"""Budget for the tensors created while an agent is built from a file, based on the size of the stored weights.

A file contains both the network's sizes (in its config) and its weights, so the two can be compared: every operation
that creates a tensor is first run on the meta device, which gives its shape without using memory.
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

# Ratio of what is created while an agent is built to the content of its file: initial weights are drawn, transformed
# and copied to networks, target networks and the optimizer. The constants allow for agents with hardly any weights.
BYTES, BYTES_EACH = 16 * 2**20, 32
TENSORS, TENSORS_EACH = 1000, 50


class TensorBudget(TorchDispatchMode):
    """Context manager that rejects operations that would create more or larger tensors than a file accounts for.

    Args:
        path: Path of the file.
        state: Tree of its content.

    Raises:
        CheckpointError: By the operation that exceeds the budget, before it runs.
    """

    def __init__(self, path: Any, state: Any):
        super().__init__()
        self.path = path
        self.stored, arrays = sizes(state)
        self.most_bytes = BYTES + BYTES_EACH * self.stored
        self.most_tensors = TENSORS + TENSORS_EACH * arrays
        self.bytes = self.tensors = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Count what the operation would create, then run it."""
        kwargs = kwargs or {}
        if any(value.alias_info is None for value in func._schema.returns):  # others are views or written in place
            self.tensors += 1
            self.bytes += requested(func, args, kwargs)
            if self.bytes > self.most_bytes or self.tensors > self.most_tensors:
                raise CheckpointError(
                    f"{self.path} is refused: its settings ask for more than {readable(self.most_bytes)} or "
                    f"{self.most_tensors} tensors of networks and buffers, but it holds {readable(self.stored)}"
                )
        return func(*args, **kwargs)


def requested(func: Any, args: tuple, kwargs: dict[str, Any]) -> int:
    """Compute the bytes that an operation would create, on the meta device."""
    try:
        # Generators are bound to a device, and the shape does not depend on them.
        meta = {key: None if key in ("generator", "pin_memory") else value for key, value in kwargs.items()}
        if "device" in meta or not any(isinstance(arg, torch.Tensor) for arg in args):
            meta["device"] = torch.device("meta")
        made = func(*tree_map(_on_meta, args), **tree_map(_on_meta, meta))
    except (NotImplementedError, RuntimeError, TypeError):  # the shape depends on the data: at most the inputs' size
        made = args
    # Without tensor inputs, the shape is among the arguments.
    total = 0 if any(isinstance(value, torch.Tensor) for value in tree_flatten(made)[0]) else 8 * _product(args)

    def count(value: Any) -> None:
        nonlocal total
        if isinstance(value, torch.Tensor):
            total += value.numel() * value.itemsize

    tree_map(count, made)
    return total


def _product(args: tuple) -> int:
    """Compute the largest product of integers in an argument, which may be a shape."""
    shapes = [arg if isinstance(arg, list | tuple) else [arg] for arg in args]
    return max((math.prod(n for n in shape if type(n) is int) for shape in shapes), default=0)


def _on_meta(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")


def sizes(tree: Any) -> tuple[int, int]:
    """Compute the bytes and the number of the arrays in a tree."""
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
